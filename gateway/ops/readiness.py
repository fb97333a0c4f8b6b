"""Whether a node can do its work: every dependency is looked at by name, in the background, and never written to.

Whoever asks for `/readyz` or `/metrics` is given the last answers, so that many who ask cost no more than one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from config.logs import describe_exception, get_logger
from config.settings import Settings
from gateway.errors import ExitStatus
from gateway.ops.dependencies import Dependency
from gateway.ops.probes import Answer, BucketLook, Probe, ask, make_looks

# Seconds that a dependency has for its answer, and seconds from one answer to the next question.
_PATIENCE: Final = 3.0
_INTERVAL: Final = 4.0
# Mail servers count connections, and nothing but an alert depends on this answer.
_MAIL_INTERVAL: Final = 15.0

logger = get_logger("gateway")


class Readiness:
    """The last answers of what the parts of this node need. `puts_only`: their key of the bucket may be one that only puts."""

    def __init__(self, settings: Settings, dependencies: Collection[Dependency], *, puts_only: bool) -> None:
        # The mail server is greeted without a login, as mail servers count logins.
        mail = settings.smtp.model_copy(update={"username": None, "password": None})
        self._bucket = BucketLook(settings.s3, puts_only=puts_only)
        looks = make_looks(settings.model_copy(update={"smtp": mail}), self._bucket)
        self._looks = {name: look for name, look in looks.items() if name in dependencies}
        self._answers: dict[Dependency, Answer] = {}
        self._all_asked = asyncio.Event()

    @property
    def latest(self) -> Sequence[Answer]:
        """The last answers, in the order of the dependencies; none of one that hasn't been looked at yet."""
        return [self._answers[name] for name in self._looks if name in self._answers]

    async def first(self) -> Sequence[Answer]:
        """The last answers, once each dependency has been looked at, which takes a few seconds at most after a start."""
        await self._all_asked.wait()
        return self.latest

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Keep looking while the block runs."""
        tasks = [
            asyncio.create_task(self._keep_looking(name, look), name=f"look at {name}")
            for name, look in self._looks.items()
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Who waits for the first looks waits for none that a reload has ended.
            self._all_asked.set()
            self._bucket.close()

    async def _keep_looking(self, name: Dependency, look: Probe) -> None:
        while True:
            try:
                answer = await ask(name, look, _PATIENCE)
            except Exception as error:  # noqa: BLE001 - one look that fails must not be the last
                logger.error("look_crashed", dependency=name, **describe_exception(error))  # noqa: TRY400
                answer = Answer(name, ExitStatus.UNREACHABLE, f"the look failed ({type(error).__name__})")
            self._answers[name] = answer
            if len(self._answers) == len(self._looks):
                self._all_asked.set()
            await asyncio.sleep(_MAIL_INTERVAL if name is Dependency.SMTP else _INTERVAL)
