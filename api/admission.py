"""Who may call: key, campaign, address, status and rate, in one statement of the database before any work (8-api.md §1, §7)."""

import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from api import metrics
from api.admission_groups import AdmissionGroups, CallingCampaign, Question, Verdict
from api.errors import RequestRefused
from api.key_uses import KeyUsesCounter, Use
from campaigns.campaigns import Creator
from config.addresses import Address
from config.errors import ConfigError
from config.identifiers import is_campaign_id
from config.logs import get_logger
from config.settings import Settings
from database.connections import Pool
from keys.api_key_form import parse_key

logger = get_logger("api")

_BEARER: Final = re.compile(r"bearer (\S+)", re.ASCII | re.IGNORECASE)
# Seconds for which the same reason to refuse the same key is not written into the log again.
_TELL_AGAIN: Final = 60.0
# So many reasons and refusals are remembered. Only whoever has a key makes any.
_MOST_REMEMBERED: Final = 10_000
_USES: Final = {
    Verdict.ADMITTED: Use.ADMITTED,
    Verdict.KEY: Use.UNAUTHORIZED,
    Verdict.CAMPAIGN: Use.FORBIDDEN,
    Verdict.ADDRESS: Use.FORBIDDEN,
    Verdict.SUSPENDED: Use.FORBIDDEN,
    Verdict.RATE: Use.LIMITED,
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admitted call: its campaign, the public prefix of its key, its real address; the database's time at its admission.

    `maker`: the user who made its key, None: the campaign's creator.
    """

    campaign: CallingCampaign
    key_prefix: str
    address: str
    at: datetime
    maker: Creator | None

    @property
    def creator(self) -> Creator:
        """Who makes what is sent by this call."""
        return self.maker or self.campaign.creator

    @property
    def maker_id(self) -> str | None:
        """The maker's id."""
        return None if self.maker is None else self.maker.id


class Admission:
    """Admits calls. A process has one, and runs `groups` and `uses` in tasks; calls that come together are asked for together."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._environment: Final = settings.environment
        self.groups: Final = AdmissionGroups(pool, settings.api)
        self.uses: Final = KeyUsesCounter(pool, self.groups.clock.at)
        # Until when, by this process's clock, the campaign's rate admits no call that is made just so.
        self._full_until: Final[dict[Question, float]] = {}
        self._told: Final[dict[tuple[Verdict, str, str], float]] = {}

    async def admit(self, request: Request) -> Admitted:
        """Admit the call. Raises RequestRefused (401, 403, 429), ConfigError where the database is away."""
        question = self._question_of(request)
        if question is None:
            metrics.ADMISSIONS.labels("key_malformed").inc()
            raise _unauthorized()
        until = self._full_until.get(question)
        if until is not None:
            if time.monotonic() < until:
                metrics.ADMISSIONS.labels("rate_remembered").inc()
                self.uses.count(question.prefix, question.address, Use.LIMITED)
                raise _too_many(until)
            del self._full_until[question]
        try:
            decision = await self.groups.decide(question)
        except ConfigError:
            metrics.ADMISSIONS.labels("unavailable").inc()
            raise
        metrics.ADMISSIONS.labels(decision.verdict).inc()
        self.uses.count(question.prefix, question.address, _USES[decision.verdict])
        match decision.verdict:
            case Verdict.ADMITTED:
                assert decision.campaign is not None  # noqa: S101 - whose key was found
                at = datetime.fromtimestamp(decision.at, UTC)
                return Admitted(decision.campaign, question.prefix, question.address, at, decision.maker)
            case Verdict.KEY:
                raise _unauthorized()
            case Verdict.RATE:
                self._remember(question, decision.until)
                raise _too_many(decision.until)
            case Verdict.CAMPAIGN | Verdict.ADDRESS | Verdict.SUSPENDED:
                self._tell(decision.verdict, question, request)
                raise RequestRefused(403)

    def now(self) -> datetime:
        """The database's time, by the answers of admissions: after the first one, and never ahead of it."""
        return datetime.fromtimestamp(self.groups.clock.at(time.monotonic()), UTC)

    def _question_of(self, request: Request) -> Question | None:
        """What the database must be asked, or None where the call has no key that could be one."""
        given = request.headers.getlist("authorization")
        match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
        key = parse_key(match[1], self._environment) if match else None
        if key is None:
            return None
        # An id that can't be one is nobody's: it is asked for like any other that is unknown.
        campaign_id: str = request.path_params["campaign_id"]
        path = campaign_id if is_campaign_id(campaign_id) else ""
        return Question(key.prefix, key.digest, path, _address_of(request))

    def _remember(self, question: Question, until: float) -> None:
        if len(self._full_until) >= _MOST_REMEMBERED:
            self._full_until.clear()
        self._full_until[question] = until

    def _tell(self, verdict: Verdict, question: Question, request: Request) -> None:
        """Write down why a key that is right was refused, which its caller isn't told: once a minute is enough."""
        told = (verdict, question.prefix, question.address)
        now = time.monotonic()
        if self._told.get(told, -math.inf) > now - _TELL_AGAIN:
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[told] = now
        logger.warning(
            "call_forbidden",
            reason=verdict.value,
            key_prefix=question.prefix,
            source_address=question.address,
            request_id=request.scope["state"]["request_id"],
        )


def _unauthorized() -> RequestRefused:
    return RequestRefused(401, headers={"WWW-Authenticate": "Bearer"})


def _too_many(until: float) -> RequestRefused:
    """429, and after how many whole seconds there is room again."""
    seconds = max(1, math.ceil(until - time.monotonic()))
    return RequestRefused(429, headers={"Retry-After": str(seconds)})


def _address_of(request: Request) -> str:
    """The caller's real address. One that nobody knows is told as an address that can't be allowed."""
    address: Address | None = request.scope["state"]["address"]
    return "::" if address is None else str(address)
