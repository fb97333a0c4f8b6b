"""Host keys, by which agencies recognise this service. There are three types, every node has the same, a rotation changes them.

In the folder `ssh_host_<type>_key` is the current key, and during a rotation `ssh_host_<type>_key.next` is the new one. SSH
shows a client only one key of a type at a login. During a rotation that is still the current one, which clients know; the new
one is announced beside it, and clients that understand the announcement learn it. Retiring the old key makes the new one
current. `host_key_changes` makes these changes, and `host_key_fingerprints` is the table that tells all nodes of them.
"""

import base64
import hashlib
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import asyncssh
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keys.errors import HostKeyError
from keys.public_keys import RSA_LEAST_BITS

RSA_BITS: Final = 3072
_NEXT: Final = ".next"
_SSH_PORT: Final = 22
_SHA256_TYPE: Final = 2  # RFC 6594, of an SSHFP record
_SIGNED: Final = b"clients verify what a host key signs"
_DAMAGED: Final = "the host key {} is damaged: copy it once more from another node, or from where it is kept"


class HostKeyType(StrEnum):
    """The types that every node has, in the order in which they are printed."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"
    RSA = "rsa"

    @property
    def algorithm(self) -> str:
        """The name in SSH of a key of this type."""
        match self:
            case HostKeyType.ED25519:
                return "ssh-ed25519"
            case HostKeyType.ECDSA:
                return "ecdsa-sha2-nistp256"
            case HostKeyType.RSA:
                return "ssh-rsa"

    @property
    def sshfp_number(self) -> int:
        """The type's number in an SSHFP record (RFC 4255, 6594, 7479)."""
        match self:
            case HostKeyType.RSA:
                return 1
            case HostKeyType.ECDSA:
                return 3
            case HostKeyType.ED25519:
                return 4


@dataclass(frozen=True, slots=True)
class HostKey:
    """One key pair of this node. Logins show it if `is_current`; otherwise it is the new one of a rotation, and announced."""

    type: HostKeyType
    key: asyncssh.SSHKey
    path: Path
    is_current: bool

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` prints it."""
        return self.key.get_fingerprint()

    @property
    def is_weak(self) -> bool:
        """Whether it is an RSA key of fewer bits than an agency's may have: it can be broken, and clients begin to refuse it."""
        key = self.key.pyca_key
        return isinstance(key, RSAPrivateKey) and key.key_size < RSA_LEAST_BITS

    @property
    def public_line(self) -> str:
        """Algorithm and key in OpenSSH's format, without a comment."""
        algorithm, encoded, *_ = self.key.export_public_key("openssh").decode("ascii").split()
        return f"{algorithm} {encoded}"

    def known_hosts_line(self, host: str, port: int) -> str:
        """The line that an agency puts into its known_hosts."""
        return known_hosts_line(host, port, self.public_line)

    def sshfp_record(self, host: str) -> str:
        """The DNS record of this key, SHA-256 only."""
        digest = hashlib.sha256(base64.b64decode(self.public_line.split()[1])).hexdigest()
        return f"{host} IN SSHFP {self.type.sshfp_number} {_SHA256_TYPE} {digest}"


def known_hosts_line(host: str, port: int, public_line: str) -> str:
    """The line that tells a client which key this server has."""
    name = host if port == _SSH_PORT else f"[{host}]:{port}"
    return f"{name} {public_line}"


def key_path(folder: Path, kind: HostKeyType, *, is_current: bool) -> Path:
    """Where the private key of this type lies."""
    name = f"ssh_host_{kind.value}_key"
    return folder / (name if is_current else name + _NEXT)


def load_host_keys(folder: Path) -> list[HostKey]:
    """The keys of all three types, each type's current one before its new one.

    Raises HostKeyError: a type is missing, a file is unreadable, no such key, or open to others.
    """
    keys = load_present_host_keys(folder)
    present = {key.type for key in keys if key.is_current}
    missing = [kind.value for kind in HostKeyType if kind not in present]
    if missing:
        raise HostKeyError(
            f"no {' and no '.join(missing)} host key in {folder}: run `sftp-gateway hostkey generate` on the first node, "
            "and copy its folder to the others"
        )
    return keys


def load_present_host_keys(folder: Path) -> list[HostKey]:
    """Like `load_host_keys`, of those types that are there."""
    return [
        HostKey(kind, _read_key(path, kind), path, is_current)
        for kind in HostKeyType
        for is_current in (True, False)
        if (path := key_path(folder, kind, is_current=is_current)).exists()
    ]


def _read_key(path: Path, kind: HostKeyType) -> asyncssh.SSHKey:
    try:
        for entry, forbidden in ((path.parent, 0o022), (path, 0o077)):
            mode = entry.stat().st_mode & 0o777
            if mode & forbidden:
                raise HostKeyError(
                    f"the host keys are open to other users: {entry} has mode {mode:04o}; "
                    f"run `chmod {'700' if entry == path.parent else '600'} {entry}`"
                )
        # Whether the factors of an RSA key are prime takes 0.1 s to find. That it signs right, which is tried below, is enough.
        key = asyncssh.import_private_key(path.read_bytes(), unsafe_skip_rsa_key_validation=True)
    except OSError as error:
        raise HostKeyError(f"the host key {path} can't be read: {error.strerror}") from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise HostKeyError(f"{path} is not a private key in OpenSSH format without a passphrase") from None
    except ValueError:
        raise HostKeyError(_DAMAGED.format(path)) from None
    if key.get_algorithm() != kind.algorithm:
        raise HostKeyError(f"{path} holds a key of type {key.get_algorithm()}, not {kind.algorithm}")
    if not _signs(key):
        raise HostKeyError(_DAMAGED.format(path))
    return key


def _signs(key: asyncssh.SSHKey) -> bool:
    """Whether clients could verify what this key signs: it may be damaged where its form is still right."""
    algorithm = key.sig_algorithms[0]
    try:
        return key.convert_to_public().verify(_SIGNED, key.sign(_SIGNED, algorithm))
    except ValueError:
        return False


def generate_host_key(folder: Path, kind: HostKeyType, *, is_current: bool) -> HostKey:
    """Make a key and write it (0600, in a folder made 0700), its public half beside it. Raises HostKeyError."""
    path = key_path(folder, kind, is_current=is_current)
    if kind is HostKeyType.RSA:
        key = asyncssh.generate_private_key(kind.algorithm, key_size=RSA_BITS)
    else:
        key = asyncssh.generate_private_key(kind.algorithm)
    host_key = HostKey(kind, key, path, is_current)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path.with_name(path.name + ".pub"), f"{host_key.public_line}\n".encode(), 0o644)
        _write_once(path, key.export_private_key("openssh"), 0o600)
    except OSError as error:
        raise HostKeyError(f"the host key {path} can't be written: {error.strerror}") from None
    return host_key


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Write the whole file or none of it, even if this process is killed meanwhile."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
