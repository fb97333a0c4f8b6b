"""The sockets that the front listens on: opened here, or handed over by systemd, and inherited by every front process."""

import errno
import os
import socket
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

from config.errors import ConfigurationError
from config.sections import SFTPSettings

_FIRST_PASSED: Final = 3  # sd_listen_fds(3)
# The kernel cuts it to net.core.somaxconn. A full queue would make a restart visible to clients.
_BACKLOG: Final = 4096


def take_passed_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process, none where it wasn't started so.

    The variables are removed: they are not meant for our children.
    """
    meant_for = environment.pop("LISTEN_PID", None)
    count = environment.pop("LISTEN_FDS", None)
    environment.pop("LISTEN_FDNAMES", None)
    if meant_for != str(os.getpid()) or not count:
        return []
    sockets = [socket.socket(fileno=_FIRST_PASSED + number) for number in range(int(count))]
    for passed in sockets:
        passed.set_inheritable(False)
        passed.setblocking(False)
    return sockets


def open_listening_sockets(settings: SFTPSettings) -> list[socket.socket]:
    """Listen on every address of `host`. Raises ConfigurationError: no such address, port taken, or not allowed."""
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        raise ConfigurationError(
            f"no address {settings.host} to listen on: see SFTP_GATEWAY_SFTP__HOST"
        ) from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in found:
            sockets.append(_listen(family, kind, protocol, address, dual=settings.host == "::"))
    except OSError as error:
        close_all(sockets)
        raise ConfigurationError(_explain(error, settings)) from None
    return sockets


def _listen(
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    protocol: int,
    address: tuple[Any, ...],
    *,
    dual: bool,
) -> socket.socket:
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _explain(error: OSError, settings: SFTPSettings) -> str:
    where = f"port {settings.port} of {settings.host}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is taken by another program: set SFTP_GATEWAY_SFTP__PORT"
        case errno.EACCES:
            return (
                f"{where} may not be opened by this user: set SFTP_GATEWAY_SFTP__PORT above 1023, "
                "or let systemd open it (sftp-gateway-front.socket)"
            )
        case _:
            return f"{where} can't be listened on ({error.strerror}): see SFTP_GATEWAY_SFTP__HOST"


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that clients come to."""
    port: int = sockets[0].getsockname()[1]
    return port


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Close our ends; a child that inherited one keeps its own."""
    for listening in sockets:
        listening.close()
