"""The sockets that parts listen on: opened here, or by systemd, and inherited by every process of the part."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

from config.errors import ConfigurationError
from config.settings import Settings, variable_of
from gateway.processes.parts import Listening, Part

_FIRST_PASSED: Final = 3  # sd_listen_fds(3)
# The kernel cuts it to net.core.somaxconn. While a part restarts, clients wait in this queue; a full one would refuse them.
_BACKLOG: Final = 4096


def take_passed_sockets(environment: MutableMapping[str, str]) -> list[tuple[str, socket.socket]]:
    """The sockets that systemd opened for this process, each with its FileDescriptorName; none where it opened none.

    The variables are removed: they are not meant for our children.
    """
    meant_for = environment.pop("LISTEN_PID", None)
    count = environment.pop("LISTEN_FDS", None)
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if meant_for != str(os.getpid()) or not count:
        return []
    names += [""] * (int(count) - len(names))
    passed = [(names[number], socket.socket(fileno=_FIRST_PASSED + number)) for number in range(int(count))]
    for _, listening in passed:
        listening.set_inheritable(False)
        listening.setblocking(False)
    return passed


@contextlib.contextmanager
def open_sockets_of_parts(
    parts: Sequence[Part], settings: Settings, passed: Sequence[tuple[str, socket.socket]]
) -> Iterator[dict[Part, list[socket.socket]]]:
    """The sockets of every part that listens, by part: those that were passed for it, else new ones.

    Our ends are closed at the end; a child that inherited one keeps its own. Raises ConfigurationError.
    """
    sockets: dict[Part, list[socket.socket]] = {}
    with contextlib.ExitStack() as stack:
        for part, listening in _listening_parts(parts):
            found = _choose_passed(part, parts, passed) or _open(part, listening, settings)
            sockets[part] = [stack.enter_context(contextlib.closing(one)) for one in found]
        yield sockets


def _listening_parts(parts: Sequence[Part]) -> Iterator[tuple[Part, Listening]]:
    for part in parts:
        if part.listening is not None:
            yield part, part.listening


def _choose_passed(
    part: Part, parts: Sequence[Part], passed: Sequence[tuple[str, socket.socket]]
) -> list[socket.socket]:
    """The passed sockets that are this part's: those with its name, and for the last listening part those with no part's."""
    owners = {listening.section: owner for owner, listening in _listening_parts(parts)}
    # The table's last part that listens is the SFTP front, unless another one runs alone.
    last = next(reversed(owners.values()))
    return [listening for name, listening in passed if owners.get(name, last) == part]


def _open(part: Part, listening: Listening, settings: Settings) -> list[socket.socket]:
    """Listen on every address of the part's `host`. Raises ConfigurationError: no such address, port taken, or not allowed."""
    host, port = listening.address(settings)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        variable = variable_of(f"{listening.section}.host")
        raise ConfigurationError(f"no address {host} to listen on: see {variable}") from None
    with contextlib.ExitStack() as opened:
        try:
            sockets = [
                opened.enter_context(
                    contextlib.closing(_listen(family, kind, protocol, address, dual=host == "::"))
                )
                for family, kind, protocol, _, address in found
            ]
        except OSError as error:
            raise ConfigurationError(_explain(error, part, listening, host, port)) from None
        opened.pop_all()
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


def _explain(error: OSError, part: Part, listening: Listening, host: str, port: int) -> str:
    where = f"port {port} of {host}"
    port_variable, host_variable = (variable_of(f"{listening.section}.{name}") for name in ("port", "host"))
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is taken by another program: set {port_variable}"
        case errno.EACCES:
            return (
                f"{where} may not be opened by this user: set {port_variable} above 1023, "
                f"or let systemd open it (sftp-gateway-{part.name}.socket)"
            )
        case _:
            return f"{where} can't be listened on ({error.strerror}): see {host_variable}"


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that clients come to."""
    port: int = sockets[0].getsockname()[1]
    return port
