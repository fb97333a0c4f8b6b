"""How the drop box looks to its clients: attributes, and lines like those of `ls -l`, which FileZilla and others read instead."""

import stat
from datetime import UTC, datetime
from typing import Final

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR

from sftpd.session.file_names import MAX_NAME_BYTES

# What a listing tells apart: an unfinished upload can be written, and what was taken can't be touched any more.
PARTIAL_MODE: Final = stat.S_IFREG | 0o200
UPLOAD_MODE: Final = stat.S_IFREG
FOLDER_MODE: Final = stat.S_IFDIR | 0o700

BLOCK_BYTES: Final = 4096
# SFTP version 3 has 32 bits for a time.
MAX_TIME: Final = 2**32 - 1


def partial_attributes(size: int, modified_at: datetime) -> asyncssh.SFTPAttrs:
    """The attributes of an upload that is not finished. `size` is in bytes."""
    return _file_attributes(size, modified_at, PARTIAL_MODE)


def upload_attributes(size: int, modified_at: datetime) -> asyncssh.SFTPAttrs:
    """The attributes of an upload that was taken. `size` is in bytes."""
    return _file_attributes(size, modified_at, UPLOAD_MODE)


def _file_attributes(size: int, modified_at: datetime, mode: int) -> asyncssh.SFTPAttrs:
    seconds = min(max(0, int(modified_at.timestamp())), MAX_TIME)
    return asyncssh.SFTPAttrs(
        type=FILEXFER_TYPE_REGULAR,
        size=size,
        uid=0,
        gid=0,
        permissions=mode,
        atime=seconds,
        mtime=seconds,
    )


def folder_attributes(now: datetime) -> asyncssh.SFTPAttrs:
    """The attributes of the drop box itself."""
    seconds = int(now.timestamp())
    return asyncssh.SFTPAttrs(
        type=FILEXFER_TYPE_DIRECTORY,
        size=0,
        uid=0,
        gid=0,
        permissions=FOLDER_MODE,
        atime=seconds,
        mtime=seconds,
    )


def listed_name(name: str, attributes: asyncssh.SFTPAttrs, now: datetime) -> asyncssh.SFTPName:
    """An entry of a listing, with its time in UTC. The owner and group in its line are made up."""
    mode = stat.filemode(attributes.permissions or 0)
    modified_at = datetime.fromtimestamp(attributes.mtime or 0, UTC)
    # Like ls, show the time of day for the last half year, and else the year.
    recent = 0 <= (now - modified_at).days < 182
    shown = f"{modified_at:%b} {modified_at.day:2} " + (
        f"{modified_at:%H:%M}" if recent else f" {modified_at:%Y}"
    )
    line = f"{mode}    1 campaign campaign {attributes.size or 0:>12} {shown} {name}"
    return asyncssh.SFTPName(filename=name.encode(), longname=line.encode(), attrs=attributes)


def space_attributes(free: int, total: int, max_handles: int) -> asyncssh.SFTPVFSAttrs:
    """How much a campaign may spool, as STATVFS tells it. `free` and `total` are in bytes."""
    return asyncssh.SFTPVFSAttrs(
        bsize=BLOCK_BYTES,
        frsize=BLOCK_BYTES,
        blocks=total // BLOCK_BYTES,
        bfree=free // BLOCK_BYTES,
        bavail=free // BLOCK_BYTES,
        files=max_handles,
        ffree=max_handles,
        favail=max_handles,
        namemax=MAX_NAME_BYTES,
    )
