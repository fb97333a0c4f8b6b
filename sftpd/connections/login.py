"""Whether a login is let in: the one question that it asks of PostgreSQL, and the rule over the answer.

A client is told the same whatever a login is refused for. The cause is only for logs, metrics and the audit trail.
"""

import asyncio
from enum import StrEnum
from typing import Final

import asyncpg

from config.addresses import Address, is_listed
from config.errors import ConfigError
from database.connections import Pool, database_troubles
from database.errors import ServiceUnreachable
from keys.access import Access, fetch_access

_SHOWN: Final = 64


class LoginRefusal(StrEnum):
    """Why a login came to nothing."""

    # There is no such campaign, or it is suspended or deleted.
    UNKNOWN = "unknown"
    KEY = "key"
    SOURCE = "source"
    # The key is the right one, but the client has not proved that it has the private key, or only by SHA-1.
    SIGNATURE = "signature"
    # The client tried no public key at all.
    NO_KEY = "no_key"
    SESSIONS = "sessions"
    UNAVAILABLE = "unavailable"


def find_login_refusal(access: Access | None, fingerprint: str, address: Address) -> LoginRefusal | None:
    """Why this key may not come in from this address, or None where it may.

    The key and the address are always both compared, so that the time this takes doesn't tell which one was wrong.
    """
    sources = access.allowed_sources if access else ()
    fingerprints = access.fingerprints if access else frozenset()
    has_key = fingerprint in fingerprints
    is_from_there = not sources or is_listed(address, sources)
    if access is None:
        return LoginRefusal.UNKNOWN
    if not has_key:
        return LoginRefusal.KEY
    return None if is_from_there else LoginRefusal.SOURCE


def escape_user_name(user_name: str) -> str:
    """A user name as it may stand in a log: printable ASCII, at most 64 characters (2-gateway.md §5)."""
    return user_name[:_SHOWN].encode("unicode_escape").decode("ascii")[:_SHOWN]


class AccessLookup:
    """Asks PostgreSQL who may come in, in one query for each login. One per process.

    Logins use only a part of the pool, so that a flood of them leaves connections for uploads.

    `generation` grows whenever the access of some campaign may have changed: an answer from before then is stale.
    `to_recheck` holds the campaigns whose live sessions must be looked at because of that; `recheck_wanted` is set when
    there are any, and `access_watch` does the looking. `is_away` tells whether PostgreSQL was out of reach at the last
    question, or on the access watch's own connection.
    """

    def __init__(self, pool: Pool, *, at_a_time: int, timeout: float) -> None:
        self._pool: Final = pool
        self._turns: Final = asyncio.Semaphore(at_a_time)
        self._timeout: Final = timeout
        self.is_away = False
        self.generation = 0
        self.to_recheck: set[str] = set()
        self.recheck_wanted: Final = asyncio.Event()

    def note_change(self, campaign_id: str) -> None:
        """Take in that a campaign's access changed, or may have."""
        self.generation += 1
        self.request_recheck(campaign_id)

    def request_recheck(self, campaign_id: str) -> None:
        """Have the live sessions of a campaign looked at."""
        self.to_recheck.add(campaign_id)
        self.recheck_wanted.set()

    async def fetch(self, campaign_id: str) -> Access | None:
        """The campaign's access as it is now. Raises ConfigError whenever the database gives no answer."""
        try:
            with database_troubles():
                async with asyncio.timeout(self._timeout), self._turns, self._pool.acquire() as connection:
                    access = await fetch_access(connection, campaign_id)
        except asyncpg.PostgresError as error:
            self.is_away = True
            message = f"the database can't answer ({type(error).__name__}): see `sftp-gateway check`"
            raise ServiceUnreachable(message) from None
        except ConfigError:
            self.is_away = True
            raise
        self.is_away = False
        return access
