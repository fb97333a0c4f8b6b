"""Makes, rotates and retires host keys. Their fingerprints go into the database, the keys into this node's folder.

Each change is one transaction, with a table lock that keeps two nodes from making keys at the same time. A change that failed
midway goes on where it stopped when it is called again.
"""

from pathlib import Path

from audit.events import Actor
from database.connections import Connection
from keys.errors import HostKeyRefused
from keys.host_key_fingerprints import (
    lock_fingerprints,
    record_fingerprints,
    record_fingerprints_retired,
)
from keys.host_keys import (
    HostKey,
    HostKeyType,
    generate_host_key,
    key_path,
    load_host_keys,
    load_present_host_keys,
)


async def generate_host_keys(
    connection: Connection, folder: Path, *, replace: bool = False, actor: Actor
) -> list[HostKey]:
    """Make the types that are missing in `folder`, and record their fingerprints. Returns all keys.

    Refused while the database has another node's keys in force: those are to be copied, unless all nodes have lost them
    (`replace`, which retires them). Raises HostKeyRefused, HostKeyError.
    """
    async with connection.transaction():
        in_force = await lock_fingerprints(connection)
        here = load_present_host_keys(folder)
        foreign = in_force - {key.fingerprint for key in here}
        made_elsewhere = len({key.type for key in here if key.is_current}) < len(HostKeyType) and in_force
        if made_elsewhere or (in_force and not any(key.fingerprint in in_force for key in here)):
            if not replace:
                raise HostKeyRefused(
                    f"another node has made the host keys already: copy its folder to {folder}; only if they are lost on all "
                    "nodes, add --replace, and tell the agencies the new fingerprints"
                )
            await record_fingerprints_retired(connection, foreign, actor=actor)
        present = {key.type for key in here if key.is_current}
        for kind in HostKeyType:
            if kind not in present:
                generate_host_key(folder, kind, is_current=True)
        keys = load_host_keys(folder)
        await record_fingerprints(connection, [key for key in keys if key.is_current], actor=actor)
        return keys


async def rotate_host_keys(connection: Connection, folder: Path, *, actor: Actor) -> list[HostKey]:
    """Make new keys of all types beside the current ones, and record them. Returns all keys, offered both from now on.

    Raises HostKeyRefused: no keys yet, keys that aren't the other nodes', or a rotation that is still going on.
    """
    async with connection.transaction():
        in_force = await lock_fingerprints(connection)
        keys = load_host_keys(folder)
        _check_current(keys, in_force, folder)
        started = {key.type: key for key in keys if not key.is_current}
        if in_force - {key.fingerprint for key in keys}:
            raise HostKeyRefused(
                f"another node has begun a rotation: copy its folder to {folder}, or run `sftp-gateway hostkey retire` there"
            )
        if len(started) == len(HostKeyType) and all(key.fingerprint in in_force for key in started.values()):
            raise HostKeyRefused(
                "a rotation is going on already: end it with `sftp-gateway hostkey retire` before the next"
            )
        for kind in HostKeyType:
            if kind not in started:
                generate_host_key(folder, kind, is_current=False)
        keys = load_host_keys(folder)
        await record_fingerprints(connection, [key for key in keys if not key.is_current], actor=actor)
        return keys


async def retire_host_keys(connection: Connection, folder: Path, *, actor: Actor) -> list[HostKey]:
    """End a rotation: the old keys' fingerprints are retired. Returns the keys to keep; then call `promote_new_keys`.

    Raises HostKeyRefused: no rotation is going on in `folder`.
    """
    async with connection.transaction():
        in_force = await lock_fingerprints(connection)
        keys = load_host_keys(folder)
        new = {key.type: key for key in keys if not key.is_current}
        if not new:
            raise HostKeyRefused("no rotation is going on here: begin one with `sftp-gateway hostkey rotate`")
        unknown = [key.fingerprint for key in new.values() if key.fingerprint not in in_force]
        if unknown:
            raise HostKeyRefused(
                f"the new host key {unknown[0]} is not recorded: run `sftp-gateway hostkey rotate` once more, then retire"
            )
        old = {key.fingerprint for key in keys if key.is_current and key.type in new}
        await record_fingerprints_retired(connection, old & in_force, actor=actor)
        return [key for key in keys if key.fingerprint not in old]


def promote_new_keys(folder: Path) -> list[HostKey]:
    """Put each new key in the place of the old one, after the retirement is committed. Returns the keys."""
    for kind in HostKeyType:
        new = key_path(folder, kind, is_current=False)
        if new.exists():
            current = key_path(folder, kind, is_current=True)
            try:
                new.with_name(new.name + ".pub").replace(current.with_name(current.name + ".pub"))
            except FileNotFoundError:
                current.with_name(current.name + ".pub").unlink(missing_ok=True)
            new.replace(current)
    return load_host_keys(folder)


def _check_current(keys: list[HostKey], in_force: set[str], folder: Path) -> None:
    if any(key.is_current and key.fingerprint not in in_force for key in keys):
        raise HostKeyRefused(
            f"the host keys in {folder} are not those that the other nodes show: copy their folder, "
            "or run `sftp-gateway hostkey generate` if this is the first node"
        )
