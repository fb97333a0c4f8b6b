"""The table `secret_keys`: the data keys that secrets are encrypted with and callbacks are signed with.

This is envelope encryption. A row holds a random data key of 256 bits, wrapped by AES-256-GCM with the setting `SECRETS__KEY`.
From each data key HKDF derives two others, one that encrypts secrets and one that signs callbacks, so that no key has two uses.
Every ciphertext is bound to the place where it is stored: moved to another row, or beside other values, it can't be read.

The newest key encrypts and signs. `secrets rotate` retires the others: they still check callbacks for 80 hours, as long as a
message may be under way (7-sending.md §3). While `SECRETS__KEY` itself is being changed, a row holds its data key wrapped with
the key of before too, so that nodes which have either one can work.
"""

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.events import Actor, AuditEvent, record_event
from campaigns.errors import SecretsKeyError, SecretUnreadable
from config.sending_sections import SecretsSettings
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("campaigns", "secret_keys.sql")

_KEY_BYTES: Final = 32
# AES-GCM's own size; a random nonce is safe, since no key ever encrypts more than a few thousand secrets.
_NONCE_BYTES: Final = 12
_WRAPPING: Final = b"sftp-gateway: a data key"

_MISSING: Final = (
    "SFTP_GATEWAY_SECRETS__KEY is not set, with which Twilio's API secrets are encrypted and its callbacks signed: give this "
    "node the same key as all others; if there is none yet, make one with `openssl rand -base64 32`"
)
_WRONG: Final = (
    "SFTP_GATEWAY_SECRETS__KEY is not the key that the secrets in this database are encrypted with: set that one; if it was "
    "changed, run `sftp-gateway secrets rotate --old-key-file FILE`; if it is lost, `sftp-gateway secrets rotate --old-key-lost`"
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted secret: the id of the data key that reads it; nonce, ciphertext and tag."""

    key_id: int
    content: bytes


class Keys:
    """The data keys that this node can unwrap.

    `callback_keys` are those of callbacks' tokens, 32 bytes each, the newest first: it signs, all check. There are none before
    the first data key is made. Load keys anew now and then, and when a token fits none: another node may have rotated them.
    """

    def __init__(
        self, data_keys: Mapping[int, bytes], newest: int | None, callback_ids: Iterable[int]
    ) -> None:
        self._encrypting = {key_id: _derive(key, b"secrets") for key_id, key in data_keys.items()}
        self._newest = newest
        self.callback_keys: tuple[bytes, ...] = tuple(
            _derive(data_keys[key_id], b"callbacks") for key_id in callback_ids if key_id in data_keys
        )

    def encrypt(self, secret: str, place: Sequence[str]) -> Sealed:
        """Encrypt with the newest key. `place` is all that the ciphertext is stored beside. Raises SecretsKeyError: no key."""
        if self._newest is None:
            raise SecretsKeyError(_MISSING)
        return Sealed(
            self._newest, _encrypt(self._encrypting[self._newest], secret.encode(), _associated(place))
        )

    def decrypt(self, sealed: Sealed, place: Sequence[str]) -> str:
        """Read a secret that is stored beside `place`. Raises SecretUnreadable: its key is lost, or it was moved or changed."""
        key = self._encrypting.get(sealed.key_id)
        found = None if key is None else _decrypt(key, sealed.content, _associated(place))
        if found is None:
            raise SecretUnreadable("a secret in the database can't be read")
        return found.decode()


async def load_keys(connection: Connection, settings: SecretsSettings) -> Keys:
    """All data keys; none, and no need of `SECRETS__KEY`, where no secret was ever stored.

    Keys of before that can't be unwrapped are left out, since a lost `SECRETS__KEY` may have been given up. Raises
    SecretsKeyError: `SECRETS__KEY` isn't set, or doesn't unwrap the newest key.
    """
    return _unwrap_all(await connection.fetch(SQL["fetch_keys"]), settings)


def _unwrap_all(rows: Sequence[asyncpg.Record], settings: SecretsSettings) -> Keys:
    if not rows:
        return Keys({}, None, ())
    master = master_key(settings)
    data_keys = {row["id"]: key for row in rows if (key := _unwrap(master, row)) is not None}
    newest = next((row["id"] for row in rows if row["in_use"]), None)
    if newest is not None and newest not in data_keys:
        raise SecretsKeyError(_WRONG)
    return Keys(data_keys, newest, [row["id"] for row in rows if row["checks_callbacks"]])


async def make_first_key(connection: Connection, settings: SecretsSettings) -> None:
    """Make the first data key where there is none, in the caller's transaction. Raises SecretsKeyError: `SECRETS__KEY` isn't set.

    Whoever stores a secret calls this, and whoever is about to sign a callback's URL.
    """
    await lock_secrets(connection)
    rows = await connection.fetch(SQL["fetch_keys"])
    if not any(row["in_use"] for row in rows):
        await _record_new_key(connection, settings)


async def lock_secrets(connection: Connection) -> None:
    """Hold off everyone else who adds or retires keys, or stores a secret, until the transaction ends."""
    await connection.execute(SQL["lock_secrets"])


async def record_rotation(
    connection: Connection, settings: SecretsSettings, *, lost: bool
) -> tuple[Keys, Keys]:
    """Retire all keys and make a new one. Returns the keys of before, and those with the new one.

    Where `lost`, keys of before needn't be readable. Raises SecretsKeyError as `load_keys` does.
    """
    await lock_secrets(connection)
    rows = await connection.fetch(SQL["fetch_keys"])
    if lost:
        rows = [row for row in rows if _unwrap(master_key(settings), row) is not None]
    before = _unwrap_all(rows, settings)
    await connection.execute(SQL["retire_keys"])
    await connection.execute(SQL["forget_old_wrappings"])
    await _record_new_key(connection, settings)
    return before, await load_keys(connection, settings)


async def delete_old_keys(connection: Connection) -> None:
    """Delete the keys that no callback and no secret needs any more."""
    await connection.execute(SQL["delete_old_keys"])


async def rewrap_secrets(
    connection: Connection, settings: SecretsSettings, old: SecretsSettings, *, actor: Actor
) -> int:
    """Wrap all data keys with `SECRETS__KEY` that are wrapped with the `old` one; how many they were.

    What was wrapped with the old one is kept beside, until the next rotation. Raises SecretsKeyError: neither unwraps the key
    in use, or one of both isn't set.
    """
    await lock_secrets(connection)
    new_master, old_master = master_key(settings), master_key(old)
    wrapped = 0
    for row in await connection.fetch(SQL["fetch_keys"]):
        if _decrypt(new_master, row["wrapped"], _WRAPPING) is not None:
            continue
        key = _decrypt(old_master, row["wrapped"], _WRAPPING)
        if key is not None:
            await connection.execute(SQL["rewrap_key"], row["id"], _encrypt(new_master, key, _WRAPPING))
            wrapped += 1
        elif row["in_use"]:
            raise SecretsKeyError(
                "neither SFTP_GATEWAY_SECRETS__KEY nor the old key is the one that the secrets in this database are encrypted "
                "with: set the new key there, and give the file of the one before with --old-key-file"
            )
    await record_event(connection, AuditEvent.SECRETS_REWRAPPED, actor=actor, details={"data_keys": wrapped})
    return wrapped


async def _record_new_key(connection: Connection, settings: SecretsSettings) -> None:
    wrapped = _encrypt(master_key(settings), os.urandom(_KEY_BYTES), _WRAPPING)
    await connection.execute(SQL["insert_key"], wrapped)


def master_key(settings: SecretsSettings) -> bytes:
    """The 32 bytes of `SECRETS__KEY`. Raises SecretsKeyError where it isn't set."""
    if settings.key is None:
        raise SecretsKeyError(_MISSING)
    return base64.b64decode(settings.key.get_secret_value(), validate=True)


def _unwrap(master: bytes, row: asyncpg.Record) -> bytes | None:
    for wrapped in (row["wrapped"], row["wrapped_before"]):
        if wrapped is not None and (key := _decrypt(master, wrapped, _WRAPPING)) is not None:
            return key
    return None


def _derive(key: bytes, use: bytes) -> bytes:
    # RFC 5869. The data key is random, so that no salt is needed.
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"sftp-gateway: " + use).derive(key)


def _encrypt(key: bytes, content: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, associated)


def _decrypt(key: bytes, content: bytes, associated: bytes) -> bytes | None:
    """None where the key, the content or what it is bound to isn't the one that it was encrypted with."""
    try:
        return AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], associated)
    except (InvalidTag, ValueError):
        return None


def _associated(place: Sequence[str]) -> bytes:
    # As JSON, so that no two places are written alike.
    return json.dumps(list(place)).encode()
