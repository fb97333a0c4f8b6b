"""Which public keys are accepted, and for every refusal the cure that it names. ssh-keygen makes the keys."""

import base64
import functools
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from keys.errors import KeyRefused
from keys.key_files import check_public_keys, parse_public_keys
from keys.public_keys import KeyRefusalCode, parse_fingerprint

if TYPE_CHECKING:
    from tests.conftest import KeyPair

Code = KeyRefusalCode


@dataclass(frozen=True)
class Keygen:
    """Runs ssh-keygen in a folder."""

    folder: Path

    def run(self, *words: object) -> bytes:
        return subprocess.run(
            ["ssh-keygen", *map(str, words)], check=True, timeout=60, cwd=self.folder, capture_output=True
        ).stdout

    def make(self, *options: str, name: str = "key", passphrase: str = "") -> Path:
        self.run("-q", "-N", passphrase, "-C", "agency key", *options, "-f", name)
        return self.folder / name

    def fingerprint(self, path: Path) -> str:
        return self.run("-l", "-f", path).decode().split()[1]


@pytest.fixture
def keygen(tmp_path: Path) -> Keygen:
    return Keygen(tmp_path)


def refusals(content: bytes, name: str = "-") -> list[KeyRefusalCode]:
    """The codes of all that is wrong; whatever is refused gives no key to store."""
    keys, refused = check_public_keys(content, name)
    if refused:
        with pytest.raises(KeyRefused):
            parse_public_keys(content, name)
    else:
        assert parse_public_keys(content, name) == keys
    return [refusal.code for refusal in refused]


@pytest.mark.parametrize(
    ("options", "algorithm", "bits"),
    [
        (("-t", "rsa", "-b", "2048"), "ssh-rsa", 2048),
        (("-t", "rsa", "-b", "3072", "-m", "PEM"), "ssh-rsa", 3072),
        (("-t", "ecdsa", "-b", "256"), "ecdsa-sha2-nistp256", 256),
        (("-t", "ecdsa", "-b", "384"), "ecdsa-sha2-nistp384", 384),
        (("-t", "ecdsa", "-b", "521"), "ecdsa-sha2-nistp521", 521),
        (("-t", "ed25519"), "ssh-ed25519", 256),
    ],
    ids=["rsa 2048", "rsa 3072, made as the guide says", "p256", "p384", "p521", "ed25519"],
)
def test_keys_of_the_three_kinds_pass(
    keygen: Keygen, options: tuple[str, ...], algorithm: str, bits: int
) -> None:
    private = keygen.make(*options)
    public = private.with_suffix(".pub")

    (key,) = parse_public_keys(public.read_bytes())

    assert (key.algorithm, key.bits, key.comment) == (algorithm, bits, "agency key")
    assert key.fingerprint == keygen.fingerprint(public)
    assert f"{key.public_line} agency key\n" == public.read_text()


PRIVATE = {
    "openssh": ("-t", "ed25519"),
    "openssh rsa": ("-t", "rsa", "-b", "2048"),
    "pem rsa, as the guide has them made": ("-t", "rsa", "-b", "2048", "-m", "PEM"),
    "pem ec": ("-t", "ecdsa", "-m", "PEM"),
    "pkcs8": ("-t", "rsa", "-b", "2048", "-m", "PKCS8"),
}


@pytest.fixture(scope="module")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Makes each kind once: RSA keys take their time."""

    @functools.cache
    def make(kind: str, passphrase: str = "") -> bytes:
        return (
            Keygen(tmp_path_factory.mktemp("private"))
            .make(*PRIVATE[kind], passphrase=passphrase)
            .read_bytes()
        )

    return make


@pytest.mark.parametrize("passphrase", ["", "correct horse"], ids=["plain", "encrypted"])
@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_key_is_refused_loudly(
    private_key: Callable[..., bytes], kind: str, passphrase: str
) -> None:
    content = private_key(kind, passphrase)

    assert refusals(content) == [Code.PRIVATE_KEY]

    with pytest.raises(KeyRefused, match=r"PRIVATE key.*MUST BE REPLACED"):
        parse_public_keys(content)


def _windows(content: bytes) -> bytes:
    return b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")


def _powershell(content: bytes) -> bytes:
    return b"\xff\xfe" + content.decode().encode("utf-16-le")


def _markless(content: bytes) -> bytes:
    return content.decode().encode("utf-16-le")


def _bare(content: bytes) -> bytes:
    return b"\n".join(line for line in content.splitlines() if b"-----" not in line)


def _quoted(content: bytes) -> bytes:
    return b"\n".join(b"> " + line for line in content.splitlines())


def _one_line(content: bytes) -> bytes:
    return content.replace(b"\n", b" ")


@pytest.mark.parametrize("disguise", [_windows, _powershell, _markless, _bare, _quoted, _one_line])
@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_key_is_known_in_any_dress(
    private_key: Callable[[str], bytes], kind: str, disguise: Callable[[bytes], bytes]
) -> None:
    assert refusals(disguise(private_key(kind))) == [Code.PRIVATE_KEY]


def test_a_private_key_is_known_among_public_ones(keygen: Keygen) -> None:
    private = keygen.make("-t", "ed25519")
    content = private.with_suffix(".pub").read_bytes() + private.read_bytes()
    assert refusals(content) == [Code.PRIVATE_KEY]


@pytest.mark.parametrize(
    "content",
    [
        b"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nComment: eddsa-key\r\nPublic-Lines: 2\r\n",
        b"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: aes256-cbc\n",
        b"SSH PRIVATE KEY FILE FORMAT 1.1\n\0\0",
        b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\n",
        b'{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7h"}',
    ],
    ids=["ppk 3", "ppk 2, encrypted", "ssh 1", "ssh.com", "json web key"],
)
def test_other_programs_private_keys_are_known(content: bytes) -> None:
    assert refusals(content) == [Code.PRIVATE_KEY]


@pytest.mark.parametrize("passphrase", [None, b"correct horse"], ids=["plain", "encrypted"])
def test_a_binary_private_key_is_known(passphrase: bytes | None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    content = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, encryption)
    assert refusals(content) == [Code.PRIVATE_KEY]
    assert refusals(base64.encodebytes(content)) == [Code.PRIVATE_KEY]


@pytest.mark.parametrize(
    ("key_type", "form", "code"),
    [
        ("rsa", "PEM", Code.PEM_PUBLIC_KEY),
        ("rsa", "PKCS8", Code.PEM_PUBLIC_KEY),
        ("ecdsa", "PKCS8", Code.PEM_PUBLIC_KEY),
        ("rsa", "RFC4716", Code.RFC4716_PUBLIC_KEY),
        ("ed25519", "RFC4716", Code.RFC4716_PUBLIC_KEY),
    ],
)
def test_other_public_formats_are_refused_with_the_line_that_converts_them(
    keygen: Keygen, key_type: str, form: str, code: KeyRefusalCode
) -> None:
    public = keygen.make("-t", key_type).with_suffix(".pub")
    foreign = keygen.folder / "agency key.pub"
    foreign.write_bytes(keygen.run("-e", "-m", form, "-f", public))

    assert refusals(foreign.read_bytes(), str(foreign)) == [code]

    (refusal,) = check_public_keys(foreign.read_bytes(), str(foreign))[1]
    line = refusal.text.split("`")[1]
    assert line.startswith(f"ssh-keygen -i -m {form} -f ")
    converted = subprocess.run(line, shell=True, check=True, timeout=60, capture_output=True).stdout
    (key,) = parse_public_keys(converted)
    assert key.fingerprint == keygen.fingerprint(public)


def test_a_key_from_standard_input_is_converted_from_there(keygen: Keygen) -> None:
    public = keygen.make("-t", "rsa", "-b", "2048").with_suffix(".pub")
    (refusal,) = check_public_keys(keygen.run("-e", "-m", "PEM", "-f", public))[1]
    assert "`ssh-keygen -i -m PEM -f /dev/stdin`" in refusal.text


def test_what_ssh_keygen_cannot_convert_is_not_said_to_be_convertible() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        content = key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        ((refusal),) = check_public_keys(content)[1]
        assert refusal.code is Code.PEM_PUBLIC_KEY
        assert "ssh-keygen -i" not in refusal.text


@pytest.mark.parametrize("bits", [1024, 2047])
def test_a_short_rsa_key_is_refused(keygen: Keygen, bits: int) -> None:
    public = keygen.make("-t", "rsa", "-b", str(bits)).with_suffix(".pub")
    assert refusals(public.read_bytes()) == [Code.RSA_TOO_SHORT]
    assert f"an RSA key of {bits} bits is too weak" in str(check_public_keys(public.read_bytes())[1][0])


def test_an_rsa_key_with_a_bad_exponent_is_refused(keygen: Keygen) -> None:
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    for exponent in (0, 1, 2):
        parts = [b"ssh-rsa", bytes([exponent]), b"\0" + modulus.to_bytes(256)]
        blob = b"".join(len(part).to_bytes(4) + part for part in parts)
        assert refusals(b"ssh-rsa " + base64.b64encode(blob)) == [Code.MALFORMED]


DSA = (
    "ssh-dss AAAAB3NzaC1kc3MAAACBAJfo1IxjErcUrW/TyVwQ9DHWahBDXbyGKgxv4ZrihAaF6T19d5WWcFDvMGH6omh3WNYlcVNqGCdkw/RTUWcYTwxf"
    "eH0uEoESmTS7UGDNgdOc7RlCaMaIYcGQBe3reBIWfYWlsgD+7UJWARTNXsGD543B2zLN6DNX59xfHHHuMA8/AAAAFQChAuOp7BSemQDhWsVjPQcTsCkl"
    "mwAAAIEAlFLzPX2ma7G11m3T5uXu1dGq9Y1Fa3L5dHLwQ8J4vele4f0Tu4os0+t+lda9Zip58G6rP4wR+hDVM1SW9osDEx0BIw5ii/GxyHYpcaNctYKw"
    "Fbd9B4Km73YaQd2Ae7CWiMVSHqzFIDgjn9I85RvtUe1+v30EaqfmBPajR34F/RMAAACAY6gkRZAqzgoa6NHocD+L5oQaVCqvngbSc43vDqLlPqIfwS9v"
    "/cYarP1eICCdgrXkV/5rAKF712PafXQpXUuZ8ox4vNYC72SNNahTttezP6F0y7cJO3BM7wDzz7VX0R7MmLUSHAgM5LpFIEu0SHH+ar+LmZF/evoet9gt"
    "dU7CbQA= agency key"
)
# Security keys can't be made without one: these are in the format of OpenSSH's PROTOCOL.u2f, around keys made here.
_SK_BLOB = base64.b64encode(
    b"".join(
        len(part).to_bytes(4) + part for part in (b"sk-ssh-ed25519@openssh.com", bytes(range(32)), b"ssh:")
    )
).decode()


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (DSA, Code.DSA, "DSA keys are too weak"),
        (f"sk-ssh-ed25519@openssh.com {_SK_BLOB} yubikey", Code.SECURITY_KEY, "security key"),
        ("sk-ecdsa-sha2-nistp256@openssh.com AAAAInNr x", Code.SECURITY_KEY, "security key"),
        ("ssh-ed448 AAAACXNzaC1lZDQ0OAAAADk=", Code.UNKNOWN_TYPE, "only RSA, ECDSA"),
        ("ecdsa-sha2-1.3.132.0.10 AAAAF2VjZHNh", Code.UNKNOWN_TYPE, "only RSA, ECDSA"),
        ("2048 65537 " + "1234567890" * 60 + " old", Code.UNKNOWN_TYPE, "SSH version 1"),
        ("ssh-rsa", Code.MALFORMED, "cut short or damaged"),
        ("ssh-rsa AAAA", Code.MALFORMED, "cut short or damaged"),
        ("ssh-rsa AAAAB3NzaC1yc2E*", Code.MALFORMED, "cut short or damaged"),
        ("hello", Code.MALFORMED, "no OpenSSH public key"),
        ("AAAAC3NzaC1lZDI1NTE5AAAAIKf04QQanbvyrIit", Code.MALFORMED, "no OpenSSH public key"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_line_that_is_no_acceptable_key_says_why(line: str, code: KeyRefusalCode, says: str) -> None:
    assert refusals(line.encode()) == [code]
    (refusal,) = check_public_keys(line.encode())[1]
    assert refusal.line == 1
    assert says in refusal.text


def test_a_certificate_is_refused(keygen: Keygen) -> None:
    ca = keygen.make("-t", "ed25519", name="ca")
    for key_type in ("rsa", "ecdsa", "ed25519"):
        key = keygen.make("-t", key_type, name=key_type)
        keygen.run("-q", "-s", ca, "-I", "agency", "-n", "agency", key.with_suffix(".pub"))
        content = key.with_name(f"{key_type}-cert.pub").read_bytes()
        assert refusals(content) == [Code.CERTIFICATE]
    assert refusals(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n") == [Code.CERTIFICATE]


@pytest.mark.parametrize(
    "options",
    [
        'from="192.0.2.7"',
        'command="/bin/sh",no-pty',
        "restrict",
        "sftp.example.org",
        'environment="A=ssh-rsa AAAA"',
    ],
)
def test_options_before_the_key_are_refused(ed25519_key: "KeyPair", options: str) -> None:
    content = f"{options} {ed25519_key.public_line}\n".encode()
    assert refusals(content) == [Code.OPTIONS]
    assert "sftp-gateway campaign allow" in str(check_public_keys(content)[1][0])


@pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xef\xbb\xbf", b"# only a comment\n\n", b"  \t\n"])
def test_a_file_without_a_key_is_refused(content: bytes) -> None:
    assert refusals(content) == [Code.EMPTY]


@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 20, b"\0" * 1000, b"PK\x03\x04" + b"\x9f" * 500, b"\x30\x82"]
)
def test_binary_rubbish_is_refused(content: bytes) -> None:
    assert set(refusals(content)) == {Code.MALFORMED}


def test_a_file_that_is_far_too_large_is_refused() -> None:
    assert refusals(b"#" * (1024 * 1024 + 1)) == [Code.TOO_LARGE]


def test_a_key_broken_over_lines_is_refused(rsa_key: "KeyPair") -> None:
    line = rsa_key.public_line
    assert refusals(f"{line[:70]}\n{line[70:]}".encode()) == [Code.MALFORMED, Code.MALFORMED]


def test_a_type_that_the_key_is_not_of_is_refused(ed25519_key: "KeyPair") -> None:
    assert refusals(ed25519_key.public_line.replace("ssh-ed25519", "ssh-rsa", 1).encode()) == [Code.MALFORMED]


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
        lambda text: ("# agency\n\n" + text.replace("\n", "\n\n  ")).encode(),
        lambda text: text.replace("agency key", "Schlüssel").encode("cp1252"),
    ],
    ids=["plain", "crlf", "cr", "bom", "powershell", "comments and blanks", "comment in windows-1252"],
)
def test_several_keys_in_a_file_are_read_in_any_dress(
    ed25519_key: "KeyPair", rsa_key: "KeyPair", ecdsa_key: "KeyPair", dress: Callable[[str], bytes]
) -> None:
    pairs = (ed25519_key, rsa_key, ecdsa_key)
    keys = parse_public_keys(dress("".join(f"{pair.public_line}\n" for pair in pairs)))
    assert [key.public_line for key in keys] == [pair.public_line.rsplit(" ", 2)[0] for pair in pairs]


def test_one_bad_key_among_several_refuses_all_and_names_its_line(ed25519_key: "KeyPair") -> None:
    content = f"{ed25519_key.public_line}\n# old ones\n{DSA}\nhello\n".encode()
    assert refusals(content) == [Code.DSA, Code.MALFORMED]
    with pytest.raises(KeyRefused, match=r"(?s)line 3: DSA.*\nline 4: "):
        parse_public_keys(content)


def test_the_same_key_twice_is_one_key(ed25519_key: "KeyPair") -> None:
    assert len(parse_public_keys(f"{ed25519_key.public_line}\n{ed25519_key.public_line} too\n".encode())) == 1


def test_no_refusal_repeats_what_was_given(keygen: Keygen) -> None:
    private = keygen.make("-t", "rsa", "-b", "1024", "-m", "PEM").read_text()
    secret = private.splitlines()[3]
    for content in (private, "secretword", f"secretword {DSA}"):
        texts = [str(refusal) for refusal in check_public_keys(content.encode())[1]]
        assert not [text for text in texts if secret in text or "secretword" in text]


@pytest.mark.parametrize("text", ["SHA256:" + "a" * 43, " SHA256:" + "+/" * 21 + "a= "])
def test_a_fingerprint_is_read(text: str) -> None:
    assert parse_fingerprint(text) == text.strip().rstrip("=")


@pytest.mark.parametrize(
    "text", ["", "SHA256:abc", "MD5:" + "00:" * 15 + "00", "sha256:" + "a" * 43, "a" * 43]
)
def test_anything_else_is_no_fingerprint(text: str) -> None:
    with pytest.raises(KeyRefused, match="key list"):
        parse_fingerprint(text)
