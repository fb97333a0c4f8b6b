"""Whether a node can do its work: every dependency is tried by name, at most every other second."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final

from config.settings import Settings
from gateway.ops.dependencies import Dependency
from gateway.ops.probes import Answer, BucketProbe, ask, make_probes

# Seconds for which an answer counts as fresh, and seconds that a dependency has for its answer.
_FRESH: Final = 2.0
_PATIENCE: Final = 3.0


class Readiness:
    """The probes that the parts of this node need."""

    def __init__(self, settings: Settings, dependencies: Collection[Dependency]) -> None:
        # The mail server is greeted without a login, as a look comes every few seconds, and mail servers count logins.
        mail = settings.smtp.model_copy(update={"username": None, "password": None})
        self._bucket = BucketProbe(settings.s3)
        probes = make_probes(settings.model_copy(update={"smtp": mail}), self._bucket)
        self._probes = {name: probe for name, probe in probes.items() if name in dependencies}
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
                asked = [ask(name, probe, _PATIENCE) for name, probe in self._probes.items()]
                self._answers = list(await asyncio.gather(*asked))
                self._asked = time.monotonic()
            return self._answers
