"""Who may call: key, campaign, address, status and rate, in one statement of the database before any work (8-api.md §1, §7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.requests import Request

from api.errors import RequestRefused
from config.sending_sections import APISettings
from database.connections import Pool
from rules.templates import Template


@dataclass(frozen=True, slots=True)
class CallingCampaign:
    """What the API needs to know of a campaign. All but `nric` never changes. `made_at` is aware UTC."""

    id: str
    template: Template
    is_otp: bool
    nric: bool
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admitted call: its campaign, the public prefix of its key, its real address; the database's time at its admission."""

    campaign: CallingCampaign
    key_prefix: str
    address: str
    at: datetime


class Admission:
    """Admits calls. A process has one; calls that come together are asked for together."""

    def __init__(self, pool: Pool, settings: APISettings) -> None:
        self._pool: Final = pool
        self._settings: Final = settings

    async def admit(self, request: Request) -> Admitted:
        """Admit the call. Raises RequestRefused (401, 403, 429), ConfigError where the database is away."""
        del request
        raise RequestRefused(401)
