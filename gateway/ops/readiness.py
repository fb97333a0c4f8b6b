"""Whether a node can do its work: every dependency by name, asked anew at most every other second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from config.settings import Settings
from gateway.ops.probes import (
    Answer,
    BucketProbe,
    ask,
    probe_database,
    probe_host_keys,
    probe_mail_server,
    probe_spool,
)
from gateway.processes.parts import Part

# Seconds that an answer counts as fresh, and that a dependency has for it.
_FRESH: Final = 2.0
_PATIENCE: Final = 3.0
# Without it uploads are taken and decided all the same; only the e-mails wait.
DISPENSABLE: Final = frozenset({"smtp"})


class Readiness:
    """The probes that the parts of this node need."""

    def __init__(self, settings: Settings, parts: Sequence[Part]) -> None:
        self._bucket = BucketProbe(settings.s3)
        # No login at every look: mail servers count those.
        mail = settings.smtp.model_copy(update={"username": None, "password": None})
        self._probes: dict[str, Callable[[], Awaitable[str]]] = {
            "database": lambda: probe_database(settings.database),
            "s3": self._bucket,
            "smtp": lambda: probe_mail_server(mail),
        }
        if Part.FRONT in parts:
            self._probes["hostkeys"] = lambda: probe_host_keys(settings.sftp.host_key_dir, settings.database)
            self._probes["spool"] = lambda: probe_spool(settings.sftp)
        self._lock = asyncio.Lock()
        self._answers: list[Answer] = []
        self._asked = float("-inf")

    def close(self) -> None:
        """Close what the probes keep open."""
        self._bucket.close()

    @property
    def latest(self) -> Sequence[Answer]:
        """The last answers, however old; none before the first look."""
        return self._answers

    async def look(self) -> Sequence[Answer]:
        """The answers of now; whoever asks at the same time shares them."""
        async with self._lock:
            if time.monotonic() - self._asked > _FRESH:
                probes = [ask(name, probe, _PATIENCE) for name, probe in self._probes.items()]
                self._answers = list(await asyncio.gather(*probes))
                self._asked = time.monotonic()
            return self._answers
