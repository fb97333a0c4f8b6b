"""Why a public key is refused, said to whoever pastes it: the command line speaks to an admin, who got it from an agency."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from keys.public_keys import RSA_LEAST_BITS, KeyRefusal, KeyRefusalCode

_MAKE_ONE: Final = "Make a key with ssh-keygen -t ed25519, and paste what is in its .pub file."
_WORDS: Final[Mapping[KeyRefusalCode, str]] = MappingProxyType(
    {
        KeyRefusalCode.EMPTY: f"There is no public key in it. {_MAKE_ONE}",
        KeyRefusalCode.TOO_LARGE: "This is too large for public keys: paste the line of the .pub file.",
        KeyRefusalCode.PRIVATE_KEY: (
            "This is a PRIVATE key. Nothing was stored, but it is no secret any more and must be replaced: make a new pair with "
            "ssh-keygen -t ed25519, paste only what is in its .pub file, stop using this one everywhere, and have it removed "
            "wherever it is in use."
        ),
        KeyRefusalCode.PEM_PUBLIC_KEY: (
            "This public key is in PEM or binary format, not in OpenSSH's: convert it with ssh-keygen -i -m PKCS8 -f FILE (or -m "
            "PEM), and paste what that prints. An Ed25519 key can't be converted: take the .pub file that ssh-keygen made."
        ),
        KeyRefusalCode.RFC4716_PUBLIC_KEY: (
            "This public key is in RFC 4716 (SSH2) format, not in OpenSSH's: convert it with ssh-keygen -i -m RFC4716 -f FILE, "
            "and paste what that prints. PuTTYgen shows the right format as “Public key for pasting into OpenSSH "
            "authorized_keys file”."
        ),
        KeyRefusalCode.CERTIFICATE: (
            "Certificates are not accepted: paste the plain public key that it certifies, the .pub file without -cert."
        ),
        KeyRefusalCode.DSA: f"DSA keys are too weak. {_MAKE_ONE}",
        KeyRefusalCode.RSA_TOO_SHORT: (
            f"An RSA key needs {RSA_LEAST_BITS:,} bits at least: make one with ssh-keygen -t ed25519 or "
            "ssh-keygen -t rsa -b 3072."
        ),
        KeyRefusalCode.SECURITY_KEY: f"Keys on a security key (types beginning with sk-) can't be used here. {_MAKE_ONE}",
        KeyRefusalCode.OPTIONS: (
            "Options or other words stand before the key: remove all that precedes its type, such as ssh-ed25519. From which "
            "addresses it may be used is set on the page before."
        ),
        KeyRefusalCode.UNKNOWN_TYPE: (
            f"Keys of this type are not accepted, only Ed25519, ECDSA (nistp256, 384, 521) and RSA. {_MAKE_ONE}"
        ),
        KeyRefusalCode.MALFORMED: (
            "This is no whole OpenSSH public key: it is one single line, ssh-ed25519 AAAA… comment. Copy it from the .pub file "
            "again, without line breaks."
        ),
    }
)


def words_of(refusal: KeyRefusal) -> str:
    """What the page says of it, with the line where there is one."""
    text = _WORDS[refusal.code]
    return text if refusal.line is None else f"Line {refusal.line}: {text}"
