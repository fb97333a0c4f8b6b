"""Files of public keys, as agencies send them: the format is told here, each line is judged by `public_keys`. Pure.

People send other things instead: private keys in any format, PEM, RFC 4716, binary. Each of them gets a refusal of its own,
which names the cure. `parse_public_keys` makes keys of a file's bytes, all of them or none.
"""

import base64
import binascii
import codecs
import re
import shlex
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_public_key,
)

from keys.errors import KeyRefused
from keys.public_keys import LARGEST_FILE, KeyRefusal, KeyRefusalCode, PublicKey, check_lines

# Whatever stands around it, and however its lines were broken.
_PRIVATE: Final = re.compile(
    r"-\s*BEGIN\s+(?:[A-Z0-9]+\s+)*?PRIVATE\s+KEY"
    r"|PuTTY-User-Key-File-\d"
    r"|Private-Lines:|Private-MAC:"
    r"|SSH PRIVATE KEY FILE FORMAT"
    r"|b3BlbnNzaC1rZXktdjEA"  # openssh-key-v1 in base64, pasted without its armour
    r'|"d"\s*:\s*"[\w-]{20,}"',  # a JSON Web Key's secret
    re.IGNORECASE,
)
_PUBLIC_ARMOUR: Final = re.compile(r"-{4,5}\s?BEGIN ([A-Z0-9 ]*?)-{4,5}| BEGIN (SSH2 PUBLIC KEY) ")
_PRIVATE_TEXT: Final = (
    "this is a PRIVATE key. Nothing was stored, but it is no secret any more and MUST BE REPLACED: tell the agency to make "
    "a new pair (`ssh-keygen -t ed25519`), to send only the .pub file, and to stop using this one everywhere; revoke it "
    "wherever it is in use, and delete every copy of what was sent"
)


def check_public_keys(content: bytes, file_name: str = "-") -> tuple[list[PublicKey], list[KeyRefusal]]:
    """The keys in a file, and all that is wrong with it.

    A refusal may quote the command that converts the file: `file_name` is the name in it, `-` for standard input.
    """
    if len(content) > LARGEST_FILE:
        text = "this is too large for public keys: give the .pub file, one line for each key"
        return [], [KeyRefusal(KeyRefusalCode.TOO_LARGE, None, text)]
    text = _decode(content)
    if _PRIVATE.search(text) or _is_private_der(content) or _is_bare_private(text):
        return [], [KeyRefusal(KeyRefusalCode.PRIVATE_KEY, None, _PRIVATE_TEXT)]
    if refusal := _refuse_other_format(content, text, file_name):
        return [], [refusal]
    return check_lines(text)


def parse_public_keys(content: bytes, file_name: str = "-") -> list[PublicKey]:
    """All keys of a file. Raises KeyRefused with a line for each thing that is wrong: all keys are taken, or none."""
    keys, refusals = check_public_keys(content, file_name)
    if refusals:
        raise KeyRefused("\n".join(map(str, refusals)))
    return keys


def _decode(content: bytes) -> str:
    """The text, as far as it can be read: PowerShell's `>` writes UTF-16, and a comment may be in any code page."""
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if content.startswith(mark):
            return content.decode("utf-16", "replace")
    if content[1:2] == b"\0" and content[3:4] == b"\0":
        return content.decode("utf-16-le", "replace")
    return content.decode("utf-8-sig", "replace")


def _is_private_der(content: bytes) -> bool:
    if not content.startswith(b"\x30"):
        return False
    try:
        load_der_private_key(content, password=None)
    except TypeError:
        return True  # It is encrypted.
    except (ValueError, UnsupportedAlgorithm):
        # PKCS #8, encrypted: SEQUENCE, SEQUENCE, the OID of PBES2 or of a PKCS #12 scheme.
        return (
            bytes.fromhex("2a864886f70d01050d") in content[:40]
            or bytes.fromhex("2a864886f70d010c01") in content[:40]
        )
    return True


def _is_bare_private(text: str) -> bool:
    """A private key's base64 without BEGIN and END lines."""
    body = "".join(text.split())
    if not body.startswith("M"):  # DER begins with 0x30, a SEQUENCE
        return False
    try:
        return _is_private_der(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError):
        return False


def _refuse_other_format(content: bytes, text: str, file_name: str) -> KeyRefusal | None:
    match = _PUBLIC_ARMOUR.search(text)
    if match is None:
        if _is_public_der(content):
            return _convertible(KeyRefusalCode.PEM_PUBLIC_KEY, "a binary (DER) public key", None, file_name)
        return None
    kind = (match[1] or match[2]).strip()
    match kind:
        case "RSA PUBLIC KEY":
            return _convertible(
                KeyRefusalCode.PEM_PUBLIC_KEY, "a public key in PEM format (PKCS #1)", "PEM", file_name
            )
        case "PUBLIC KEY":
            convertible = None if _is_edwards(content) else "PKCS8"
            return _convertible(
                KeyRefusalCode.PEM_PUBLIC_KEY, "a public key in PEM format (PKCS #8)", convertible, file_name
            )
        case "SSH2 PUBLIC KEY":
            return _convertible(
                KeyRefusalCode.RFC4716_PUBLIC_KEY,
                "a public key in RFC 4716 (SSH2) format",
                "RFC4716",
                file_name,
            )
        case _ if "CERTIFICATE" in kind:
            return KeyRefusal(
                KeyRefusalCode.CERTIFICATE,
                None,
                "certificates are not accepted: ask for the public key in OpenSSH format, the .pub file of ssh-keygen",
            )
        case _:
            return KeyRefusal(
                KeyRefusalCode.MALFORMED,
                None,
                "this is no OpenSSH public key (`ssh-ed25519 AAAA… comment`): ask for the .pub file of ssh-keygen",
            )


def _convertible(code: KeyRefusalCode, what: str, key_format: str | None, file_name: str) -> KeyRefusal:
    if key_format is None:
        cure = "ask for it in OpenSSH format: the .pub file that ssh-keygen makes"
    else:
        path = "/dev/stdin" if file_name == "-" else shlex.quote(file_name)
        cure = f"convert it with `ssh-keygen -i -m {key_format} -f {path}` and add what that prints"
    return KeyRefusal(code, None, f"this is {what}, not in OpenSSH format: {cure}")


def _is_public_der(content: bytes) -> bool:
    try:
        load_der_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _is_edwards(content: bytes) -> bool:
    """ssh-keygen -i converts no Ed25519 or Ed448 keys (OpenSSH 9.2: unsupported key type)."""
    try:
        key = load_pem_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
