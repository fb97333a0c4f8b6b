"""Whose number an NRIC stands for: a directory, one adapter for each source. None is shipped for production (8-api.md §2.2).

An NRIC is asked for and forgotten: no table, no log line and no answer has it.
"""

from typing import Final, Protocol

from api.errors import DomainRefused
from config.environment import Environment
from database.connections import Pool, database_troubles
from database.queries import NamedQueries
from rules.nric import is_nric, is_test_identifier
from rules.recipients import check_recipient

SQL: Final = NamedQueries("api.singles", "nric.sql")


class NRICDirectory(Protocol):
    """Knows numbers by NRIC."""

    async def find_number(self, value: str) -> str | None:
        """The mobile number, digits with country code; None where there is none. Raises ConfigError where it is away."""


class TestIdentifiers:
    """The directory of the test environment: identifiers that ops registered, each for a number."""

    # Not a test of pytest's, though its name begins like one.
    __test__ = False

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool

    async def find_number(self, value: str) -> str | None:
        """See NRICDirectory."""
        with database_troubles():
            number: str | None = await self._pool.fetchval(SQL["find_number"], value)
        return number


class EmptyDirectory:
    """Knows nobody: where no source is there."""

    async def find_number(self, value: str) -> str | None:
        """See NRICDirectory."""
        del value
        return None


class NRICRecipients:
    """Recipients that are named by NRIC."""

    def __init__(self, environment: Environment, directory: NRICDirectory) -> None:
        self._environment: Final = environment
        self._directory: Final = directory

    def check(self, value: str, *, enabled: bool) -> None:
        """Refuse what can't be asked for. In the test environment a real NRIC is one that nobody has registered."""
        if not enabled:
            raise DomainRefused("nric_not_enabled", "this campaign may not name recipients by NRIC")
        if self._environment is Environment.PRODUCTION:
            if not is_nric(value):
                raise DomainRefused("nric_invalid", "recipient.value is not a valid NRIC")
        elif is_nric(value.upper()):
            raise _not_found()
        elif not is_test_identifier(value):
            raise DomainRefused(
                "nric_invalid", "recipient.value is not an identifier of 3 to 32 letters, digits and hyphens"
            )

    async def find(self, value: str) -> str:
        """The number. Raises DomainRefused, ConfigError."""
        number = await self._directory.find_number(value)
        if number is None or check_recipient(number, self._environment) is not None:
            raise _not_found()
        return number


def _not_found() -> DomainRefused:
    return DomainRefused("nric_mobile_not_found", "Recipient does not have a mobile number mapping")
