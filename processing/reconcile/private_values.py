"""Values in an object's metadata that may be personal, such as a file's name: encrypted, where there is a key for it.

Metadata isn't covered by the bucket's own encryption, and shows in its inventories. With `s3.name_key` set a value is sealed by
AES-256-GCM, bound to the object's key and all that its metadata says openly: moved to another object, or beside other facts, it
can't be read. Without one it is readable to whoever may read the object, which holds numbers and names besides. Either way it is
ASCII: S3 takes nothing else.
"""

import base64
import json
import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

_OPEN: Final = "open"
_SEALED: Final = "aes256gcm"
# AES-GCM's own size. A random one is safe for billions of names under one key.
_NONCE_BYTES: Final = 12


def write_private(
    value: str, name: str, *, object_key: str, beside: Mapping[str, str], key: SecretStr | None
) -> str:
    """The ASCII text that stands for the value called `name`. `beside`: what the metadata says openly."""
    content = value.encode(errors="surrogateescape")
    if key is None:
        return f"{_OPEN}.{_text(content)}"
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(key).encrypt(nonce, content, _bound_to(name, object_key, beside))
    return f"{_SEALED}.{_text(nonce + sealed)}"


def read_private(
    text: str, name: str, *, object_key: str, beside: Mapping[str, str], key: SecretStr | None
) -> str | None:
    """The value, or None where it can't be read: another key sealed it, none is given, or something was changed."""
    form, _, encoded = text.partition(".")
    try:
        content = base64.urlsafe_b64decode(encoded)
        if form == _SEALED and key is not None:
            nonce, sealed = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
            content = _cipher(key).decrypt(nonce, sealed, _bound_to(name, object_key, beside))
        elif form != _OPEN:
            return None
        return content.decode(errors="surrogateescape")
    except (ValueError, InvalidTag):
        return None


def _cipher(key: SecretStr) -> AESGCM:
    return AESGCM(base64.b64decode(key.get_secret_value()))


def _bound_to(name: str, object_key: str, beside: Mapping[str, str]) -> bytes:
    return json.dumps([name, object_key, sorted(beside.items())]).encode()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()
