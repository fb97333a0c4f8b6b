"""The table of the parts of a node: a row each, with everything that the parent of the processes has to know of it.

A new part is a row here and the module that the row names; nothing else in `gateway/` asks which part it has before it.
Importing this costs little, as the command line does it at every call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.ops.dependencies import Backlog, Dependency

if TYPE_CHECKING:
    from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a part listens. All its processes inherit the same sockets.

    `section` is the section of the settings that has `host` and `port`. The log tells the port as `<section>_port`, and a
    socket that systemd opened is this part's when its FileDescriptorName is the section.
    """

    section: str
    address: "Callable[[Settings], tuple[str, int]]"


@dataclass(frozen=True, slots=True)
class Part:
    """What one kind of child process does, and how many of them a node runs.

    `name` stands in logs, metrics and `/readyz`, and in the name of the socket unit. `module` is run with `python -m`.
    `drain_seconds` is how long a process may finish what it has begun. `dependencies` are what `/readyz` and `check`
    look at for it. `command`, `help` and `example` make the command that runs this part alone. `puts_only` says that all it
    does with the bucket is to put objects, so that its key need have no other right there. `uploads_need_it` says that without a
    process of it `/readyz` is 503, as uploads by SFTP aren't taken or get no outcome; what becomes of batches isn't its concern.
    `backlogs` are what its metrics tell of what waits.
    """

    name: str
    module: str
    processes: "Callable[[Settings], int]"
    drain_seconds: "Callable[[Settings], float]"
    dependencies: frozenset[Dependency]
    listening: Listening | None
    command: str
    help: str
    example: str
    puts_only: bool = False
    uploads_need_it: bool = True
    backlogs: frozenset[Backlog] = frozenset()


WORKER: Final = Part(
    name="worker",
    module="gateway.processes.worker",
    processes=lambda settings: settings.worker.processes,
    drain_seconds=lambda settings: settings.worker.drain_timeout,
    dependencies=frozenset({Dependency.DATABASE, Dependency.S3, Dependency.SMTP}),
    listening=None,
    command="worker",
    help="Only the worker (and an ops endpoint), for several nodes.",
    example="Example: SFTP_GATEWAY_OPS__PORT=9465 sftp-gateway worker",
    backlogs=frozenset({Backlog.UPLOADS, Backlog.CHECKS}),
)

FRONT: Final = Part(
    name="front",
    module="gateway.processes.front",
    processes=lambda settings: settings.sftp.processes,
    drain_seconds=lambda settings: settings.sftp.drain_timeout,
    # The front sends no e-mail, but whoever looks at it wants to see that the outcomes of its uploads will wait.
    dependencies=frozenset(
        {Dependency.DATABASE, Dependency.S3, Dependency.SMTP, Dependency.HOST_KEYS, Dependency.SPOOL}
    ),
    listening=Listening("sftp", lambda settings: (settings.sftp.host, settings.sftp.port)),
    command="sftpd",
    help="Only the SFTP front (and an ops endpoint), for several nodes.",
    example="Example: sftp-gateway sftpd. Under systemd it takes the socket that systemd opened.",
    puts_only=True,
    backlogs=frozenset({Backlog.UPLOADS}),
)

API: Final = Part(
    name="api",
    module="gateway.processes.api",
    processes=lambda settings: settings.api.processes,
    drain_seconds=lambda settings: settings.api.drain_timeout,
    # Batch sends are put into the bucket, as uploads by SFTP are.
    dependencies=frozenset({Dependency.DATABASE, Dependency.S3}),
    listening=Listening("api", lambda settings: (settings.api.host, settings.api.port)),
    command="api",
    help="Only the HTTP API, with providers' callbacks (and an ops endpoint), for several nodes.",
    example="Example: SFTP_GATEWAY_OPS__PORT=9474 sftp-gateway api",
    puts_only=True,
    uploads_need_it=False,
)

CONSOLE: Final = Part(
    name="console",
    module="gateway.processes.console",
    processes=lambda settings: settings.console.processes,
    drain_seconds=lambda settings: settings.console.drain_timeout,
    # Files are put into the bucket, reports fetched from it; login codes go out by e-mail.
    dependencies=frozenset({Dependency.DATABASE, Dependency.S3, Dependency.SMTP}),
    listening=Listening("console", lambda settings: (settings.console.host, settings.console.port)),
    command="console",
    help="Only the console, the pages for people (and an ops endpoint), for several nodes.",
    example="Example: SFTP_GATEWAY_OPS__PORT=9476 sftp-gateway console",
    uploads_need_it=False,
)

# A hand-over may take 35 seconds to be answered or given up, and its outcome some more to be recorded.
SENDER_DRAIN_SECONDS: Final = 45.0
SENDER: Final = Part(
    name="sender",
    module="gateway.processes.sender",
    processes=lambda settings: settings.sending.processes,
    drain_seconds=lambda _settings: SENDER_DRAIN_SECONDS,
    dependencies=frozenset({Dependency.DATABASE, Dependency.S3}),
    listening=None,
    command="sender",
    help="Only the sender of messages (and an ops endpoint), for several nodes.",
    example="Example: SFTP_GATEWAY_OPS__PORT=9475 sftp-gateway sender",
    uploads_need_it=False,
    backlogs=frozenset({Backlog.MESSAGES}),
)

# In the order in which a reload replaces them. They stop in the opposite order: a part that takes work in comes after the
# parts that do this work, so that it stops first and what it has taken in is still done. Callbacks are taken to the very end.
PARTS: Final = (API, CONSOLE, SENDER, WORKER, FRONT)


def parts_in_use(parts: Sequence[Part], settings: "Settings") -> list[Part]:
    """Those of `parts` that a node runs: a part alone always, several those of which the settings want a process."""
    return [part for part in parts if len(parts) == 1 or part.processes(settings) > 0]
