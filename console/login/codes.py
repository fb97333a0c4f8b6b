"""The table `login_codes`: codes that were asked for, by which browser and for which address, and the tries of each.

Of an address that may not log in everything is done the same, so that neither the page nor the time tells: its code is one that
nobody is told. Nothing here can be read back: rows have hashes under the server's secret, which is not in the database.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Final

from config.addresses import Address, block_of
from config.console_section import ConsoleSettings
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "login/codes.sql")
ALPHABET: Final = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LENGTH: Final = 6
MOST_TRIES: Final = 4
# Seconds after which a browser may ask for another code for the same address.
PAUSE: Final = 30
MOST_IN_HOUR: Final = 5
MOST_IN_DAY: Final = 20
# Of one source address, for whatever addresses.
MOST_FROM_SOURCE: Final = 30


class Limit(Enum):
    """Why no further code is made."""

    PAUSE = auto()
    ADDRESS_HOUR = auto()
    ADDRESS_DAY = auto()
    SOURCE = auto()


class Judgement(StrEnum):
    """What a try came to. Only RIGHT lets somebody in."""

    RIGHT = auto()
    WRONG = auto()
    # That was the last try, or there was none left.
    TRIED_OUT = auto()
    # Too old, or used already.
    EXPIRED = auto()
    # No code was asked for in this browser.
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that was made: what the browser keeps, and what is told by e-mail alone. `asked_at` is aware UTC."""

    browser: str = field(repr=False)
    code: str = field(repr=False)
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Try:
    """A try's outcome. `email` is there where it is RIGHT; `address_hash` wherever a code was asked for."""

    judgement: Judgement
    tries_left: int = 0
    # Whether it was one of the four, which are few enough for the audit trail.
    is_counted: bool = False
    email: str | None = field(default=None, repr=False)
    address_hash: str | None = None


class Codes:
    """Makes and judges codes under the server's secret."""

    def __init__(self, settings: ConsoleSettings) -> None:
        assert settings.secret is not None  # noqa: S101 - the console doesn't start without it
        self._secret: Final = settings.secret.get_secret_value().encode()
        self._life: Final = timedelta(seconds=settings.code_life)

    def address_hash(self, email: str) -> str:
        """What stands for an address where it must not stand itself, such as in the audit trail."""
        return self._hash(b"address", email.encode()).hex()

    async def ask(
        self,
        connection: Connection,
        email: str,
        *,
        is_admitted: bool,
        source: Address | None,
        browser: str | None,
    ) -> NewCode | Limit:
        """In the caller's transaction: a new code for a browser that has to be told `NewCode.browser`, or the limit against it.

        `browser`: what it was told before. `is_admitted`: whether the address may log in; nothing else here depends on it.
        """
        address = self._hash(b"address", email.encode())
        place = "0.0.0.0" if source is None else str(block_of(source))  # noqa: S104 - a place's name
        place = place.partition("/")[0]
        await connection.execute(SQL["wait_for_others"], address, place)
        if browser:
            waited = await connection.fetchval(SQL["seconds_since"], _digest(browser), address)
            if waited is not None and waited < PAUSE:
                return Limit.PAUSE
        asked = await connection.fetchrow(SQL["count_asked"], address, place)
        assert asked is not None  # noqa: S101 - one row of counts
        if asked["of_source_in_hour"] >= MOST_FROM_SOURCE:
            return Limit.SOURCE
        if asked["of_address_in_day"] >= MOST_IN_DAY:
            return Limit.ADDRESS_DAY
        if asked["of_address_in_hour"] >= MOST_IN_HOUR:
            return Limit.ADDRESS_HOUR
        value = secrets.token_urlsafe(32)
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        asked_at = await connection.fetchval(
            SQL["insert_code"],
            _digest(value),
            address,
            self._code_hash(value, address, code),
            email if is_admitted else None,
            place,
            self._life,
        )
        return NewCode(value, code, asked_at)

    async def judge(self, connection: Connection, browser: str | None, text: str) -> Try:
        """What somebody has typed, in the browser that was told `browser`. It counts as a try, whatever else becomes of it."""
        if not browser:
            return Try(Judgement.UNKNOWN)
        row = await connection.fetchrow(SQL["count_try"], _digest(browser), MOST_TRIES)
        if row is None:
            state = await connection.fetchrow(SQL["fetch_state"], _digest(browser))
            if state is None:
                return Try(Judgement.UNKNOWN)
            is_over = state["is_expired"] or state["is_used"]
            return Try(
                Judgement.EXPIRED if is_over else Judgement.TRIED_OUT,
                address_hash=bytes(state["email_hash"]).hex(),
            )
        address = bytes(row["email_hash"])
        is_right = hmac.compare_digest(
            bytes(row["code_hash"]), self._code_hash(browser, address, normalise(text))
        )
        if is_right and row["email"] is not None:
            return Try(Judgement.RIGHT, is_counted=True, email=row["email"], address_hash=address.hex())
        left = MOST_TRIES - row["tries"]
        judgement = Judgement.WRONG if left else Judgement.TRIED_OUT
        return Try(judgement, left, is_counted=True, address_hash=address.hex())

    def _code_hash(self, browser: str, address: bytes, code: str) -> bytes:
        return self._hash(b"code", _digest(browser) + address + code.encode())

    def _hash(self, purpose: bytes, text: bytes) -> bytes:
        return hmac.new(self._secret, purpose + b"\0" + text, hashlib.sha256).digest()


def normalise(text: str) -> str:
    """A code as it was made: any case and any blanks are as good."""
    return "".join(text.split()).upper()


async def use_code(connection: Connection, browser: str) -> bool:
    """In the transaction of what a right code does: it does so once. False where it has already."""
    return await connection.fetchval(SQL["use_code"], _digest(browser)) is not None


async def delete_old_codes(connection: Connection) -> None:
    """Forget codes that were asked for more than a day ago: no limit counts them any more."""
    await connection.execute(SQL["delete_old"])


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
