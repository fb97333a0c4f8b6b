"""Which public keys may be added: RSA from 2,048 bits, ECDSA and Ed25519, in OpenSSH's format. Pure; stored by `ssh_keys`.

An agency sends a file with one key or several. `key_files` tells whether it is such a file at all; here each line is judged.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keys.errors import KeyRefused

RSA_LEAST_BITS: Final = 2048
RSA_MOST_BITS: Final = 16384  # OpenSSH's own limit; longer ones only cost time
LARGEST_FILE: Final = 1024 * 1024  # bytes

_CURVES: Final = {"ecdsa-sha2-nistp256": 256, "ecdsa-sha2-nistp384": 384, "ecdsa-sha2-nistp521": 521}
_ACCEPTED: Final = frozenset({"ssh-rsa", "ssh-ed25519", *_CURVES})
_ALGORITHM: Final = re.compile(
    r"(?:ssh-(?:rsa|dss|dsa|ed25519|ed448)|ecdsa-sha2-[\w.]+|rsa-sha2-\d+|x509v3-[\w-]+|(?:webauthn-)?sk-[\w.-]+)"
    r"(?:-cert-v\d\d)?(?:@[\w.-]+)?",
    re.ASCII,
)
_KEY_WITHIN: Final = re.compile(rf"(?:^|[\s,]){_ALGORITHM.pattern}\s+AAAA", re.ASCII)
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
_SSH1: Final = re.compile(r"\d{3,5} \d+ \d{50,}(?: .*)?", re.ASCII)

_ADVICE: Final = "ask the agency for a key made with `ssh-keygen -t ed25519`"


class KeyRefusalCode(StrEnum):
    """Why a file or a line of it is no acceptable public key."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    PRIVATE_KEY = "private_key"
    PEM_PUBLIC_KEY = "pem_public_key"
    RFC4716_PUBLIC_KEY = "rfc4716_public_key"
    CERTIFICATE = "certificate"
    DSA = "dsa"
    RSA_TOO_SHORT = "rsa_too_short"
    SECURITY_KEY = "security_key"
    OPTIONS = "options"
    UNKNOWN_TYPE = "unknown_type"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """One thing that is wrong, with its cure. `line` counts from 1, or is None for the whole file.

    The text never repeats what was given: that may be a secret.
    """

    code: KeyRefusalCode
    line: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that passed. `public_line` is algorithm and base64; `fingerprint` as `ssh-keygen -l` prints it."""

    algorithm: str
    bits: int
    public_line: str
    fingerprint: str
    comment: str
    line: int


def parse_fingerprint(text: str) -> str:
    """`text`, which must be a fingerprint as `key list` prints it. Raises KeyRefused."""
    fingerprint = text.strip().rstrip("=")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise KeyRefused(
            "a fingerprint is written SHA256: and 43 characters, as `sftp-gateway key list` prints it"
        )
    return fingerprint


def check_lines(text: str) -> tuple[list[PublicKey], list[KeyRefusal]]:
    """The keys in these lines, each once, and all that is wrong with them. Blank lines and `#` lines are skipped."""
    passed: dict[str, PublicKey] = {}
    refused: list[KeyRefusal] = []
    # CR alone ends a line too; the other separators of `splitlines` may stand in a comment.
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        result = _judge_line(stripped, number)
        if isinstance(result, PublicKey):
            passed.setdefault(result.fingerprint, result)
        else:
            refused.append(result)
    if not passed and not refused:
        refused.append(
            KeyRefusal(
                KeyRefusalCode.EMPTY, None, f"there is no public key in it: {_ADVICE} and its .pub file"
            )
        )
    return list(passed.values()), refused


def _judge_line(line: str, number: int) -> PublicKey | KeyRefusal:
    # It takes an eighth of the start of each process that only knows what a key is.
    import asyncssh

    def refuse(code: KeyRefusalCode, text: str) -> KeyRefusal:
        return KeyRefusal(code, number, text)

    algorithm, *rest = line.split(maxsplit=2)
    if not _ALGORITHM.fullmatch(algorithm):
        return _judge_foreign_line(line, refuse)
    if refusal := _judge_algorithm(algorithm, refuse):
        return refusal
    broken = refuse(
        KeyRefusalCode.MALFORMED,
        f"the {algorithm} key is cut short or damaged: a key is one single line, ask for its .pub file as an attachment",
    )
    if not rest:
        return broken
    try:
        blob = base64.b64decode(rest[0], validate=True)
        asyncssh.import_public_key(f"{algorithm} {rest[0]}")
        fields = _read_fields(blob)
        bits = _bits_of(algorithm, fields)
    except (binascii.Error, asyncssh.KeyImportError, ValueError, OverflowError, IndexError):
        return broken
    if algorithm == "ssh-rsa" and not RSA_LEAST_BITS <= bits <= RSA_MOST_BITS:
        few = bits < RSA_LEAST_BITS
        return refuse(
            KeyRefusalCode.RSA_TOO_SHORT if few else KeyRefusalCode.MALFORMED,
            f"an RSA key of {bits} bits is too {'weak' if few else 'long'}: from {RSA_LEAST_BITS:,} to {RSA_MOST_BITS:,} "
            "bits are accepted; ask for a new key, made with `ssh-keygen -t ed25519` or `ssh-keygen -t rsa -b 3072`",
        )
    return PublicKey(
        algorithm=algorithm,
        bits=bits,
        public_line=f"{algorithm} {rest[0]}",
        fingerprint=fingerprint_of(blob),
        comment=_clean_comment(rest[1]) if len(rest) > 1 else "",
        line=number,
    )


def _judge_algorithm(
    algorithm: str, refuse: Callable[[KeyRefusalCode, str], KeyRefusal]
) -> KeyRefusal | None:
    if algorithm in _ACCEPTED:
        return None
    if "-cert-v" in algorithm or algorithm.startswith("x509v3-"):
        return refuse(
            KeyRefusalCode.CERTIFICATE,
            "certificates are not accepted: ask for the plain public key that it certifies (the .pub file without -cert)",
        )
    if algorithm.startswith(("sk-", "webauthn-sk-")):
        return refuse(
            KeyRefusalCode.SECURITY_KEY,
            f"keys on a security key (types beginning with sk-) can't be used here: {_ADVICE}",
        )
    if algorithm in {"ssh-dss", "ssh-dsa"}:
        return refuse(KeyRefusalCode.DSA, f"DSA keys are too weak: {_ADVICE}")
    return refuse(
        KeyRefusalCode.UNKNOWN_TYPE,
        f"keys of the type {algorithm:.40} are not accepted, only RSA, ECDSA (nistp256, 384, 521) and Ed25519: {_ADVICE}",
    )


def _judge_foreign_line(line: str, refuse: Callable[[KeyRefusalCode, str], KeyRefusal]) -> KeyRefusal:
    if _KEY_WITHIN.search(line):
        return refuse(
            KeyRefusalCode.OPTIONS,
            "options or other words stand before the key: remove all that precedes its type (such as ssh-rsa); "
            "to restrict source addresses use `sftp-gateway campaign allow`",
        )
    if _SSH1.fullmatch(line):
        return refuse(KeyRefusalCode.UNKNOWN_TYPE, f"this is a key for SSH version 1: {_ADVICE}")
    return refuse(
        KeyRefusalCode.MALFORMED,
        "this is no OpenSSH public key (`ssh-ed25519 AAAA… comment`, on one single line): ask for the .pub file as an "
        "attachment",
    )


def _read_fields(blob: bytes) -> list[bytes]:
    """A key's fields (RFC 4253 §6.6): lengths of four bytes before each. Raises ValueError."""
    fields, place = [], 0
    while place < len(blob):
        end = place + 4 + int.from_bytes(blob[place : place + 4])
        if end > len(blob) or place + 4 > len(blob):
            raise ValueError
        fields.append(blob[place + 4 : end])
        place = end
    return fields


def _bits_of(algorithm: str, fields: list[bytes]) -> int:
    if algorithm == "ssh-rsa":
        return int.from_bytes(fields[2]).bit_length()
    return _CURVES.get(algorithm, 256)


def fingerprint_of(blob: bytes) -> str:
    """The fingerprint of a key's binary form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _clean_comment(comment: str) -> str:
    return "".join(char for char in comment if char.isprintable()).strip()[:100]
