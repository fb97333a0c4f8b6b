"""The keys that callbacks are checked with, kept at hand: so a forged one costs no look into the database.

They are loaded anew every few seconds, as another node may have rotated them, and sooner when a callback fits none of them: the
first key of all, or the newest, may be a moment old.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from campaigns.errors import CampaignsError
from campaigns.secret_keys import load_keys
from config.errors import ConfigError, ConfigurationError
from config.logs import get_logger
from config.sending_sections import SecretsSettings
from database.connections import Pool, database_troubles
from database.errors import ServiceUnreachable

logger = get_logger("api")

_INTERVAL: Final = 2.0
# However many forged callbacks come, they have the keys loaded no more often than this.
_SOONEST: Final = 0.25
_PATIENCE: Final = 4.0


class CallbackKeys:
    """`keys` are the newest first, None before the database has answered once."""

    def __init__(self, pool: Pool, settings: SecretsSettings) -> None:
        self._pool: Final = pool
        self._settings: Final = settings
        self.keys: Sequence[bytes] | None = None
        self._loading = asyncio.Lock()
        self._loaded_at = 0.0

    async def load(self) -> None:
        """Load them now. A database that is away leaves what was there. Raises ConfigurationError: SECRETS__KEY is wrong."""
        self._loaded_at = asyncio.get_running_loop().time()
        try:
            with database_troubles():
                async with asyncio.timeout(_PATIENCE), self._pool.acquire() as connection:
                    self.keys = (await load_keys(connection, self._settings)).callback_keys
        except ServiceUnreachable:
            # The ones of before are still good.
            return
        except CampaignsError as error:
            raise ConfigurationError(str(error)) from None

    async def keep_fresh(self) -> None:
        """Load them again and again, until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self._reload()

    async def renew(self) -> bool:
        """Load them for a callback that fits none. False where that was done a moment ago, so that nothing has changed."""
        asked_at = asyncio.get_running_loop().time()
        async with self._loading:
            if self._loaded_at < asked_at:
                if asked_at - self._loaded_at < _SOONEST:
                    return False
                await self._reload()
        return True

    async def _reload(self) -> None:
        try:
            await self.load()
        except ConfigError as error:
            logger.error("callback_keys_not_loaded", reason=str(error))  # noqa: TRY400 - the reason says it all
        except Exception:
            # The next one may succeed, and the keys of before are still good.
            logger.exception("callback_keys_not_loaded")
