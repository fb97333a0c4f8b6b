"""The calculator for a whole file: judged by a campaign's texts as an upload would be, in a child process, and forgotten."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import BinaryIO, Final

from starlette.responses import Response

from campaigns.campaigns import Campaign, fetch_known_campaign
from campaigns.people.permissions import Action
from console.campaigns.phones import LANGUAGES
from console.errors import GoTo, PageRefused
from console.paths import url
from console.routes import Access, ConsoleRoute
from console.sending.texts import cost_in_words, dearer_in_words
from console.subjects import fetch_place
from console.visits import Visit
from database.queries import NamedQueries
from processing.errors import ChildUnavailable, ProcessingError, VerdictExceeded
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictLimits, VerdictProcesses
from processing.verdicts.terms import Verdict
from rules.billing.prices import Cost
from rules.languages import parse_language
from web.deadlines import allow_long_body
from web.forms.multipart import BodyLimits, BodyRefused, parse_boundary, received_file

SQL: Final = NamedQueries("console", "guides/file_count.sql")
MOST_FINDINGS: Final = 20
_MOST_CAMPAIGNS: Final = 200
# What a body may have beside its file.
_BESIDE_FILE: Final = 64 * 1024
_BLOCK: Final = 1024 * 1024
# What counting one file may take: less than a verdict, as this process is there for pages.
_LIMITS: Final = VerdictLimits(memory=400, output=256, processor=60, seconds=60.0)
# So many files may be coming in or wait for their turn in one process.
_MOST_UNDER_WAY: Final = 8
_WRONG: Final = {
    413: "The file is 30 MB or larger: split it into several files.",
    415: "Choose a file, and send it by the button.",
    429: "Others count files just now: try again in a minute.",
    503: "There is no room for the file here just now: try again in a minute.",
}
_UNREADABLE: Final = "The file could not be read: choose it again, and send it by the button."
_NOT_CSV: Final = "Choose a file whose name ends in .csv: save the spreadsheet as CSV UTF-8."
_TOO_MUCH: Final = (
    "Counting this file takes too much at once: split it into several files, and count one of them."
)
_LATER: Final = "The file can't be counted just now: try again in a minute."


class FileCounts:
    """The files that one process counts, one at a time."""

    def __init__(self) -> None:
        self._turn: Final = asyncio.Lock()
        self._under_way = 0

    async def show(self, visit: Visit) -> Response:
        """Which campaign, and then which file."""
        campaign = await _campaign_of(visit) if visit.query.get("campaign") else None
        return await _page(visit, campaign)

    async def count(self, visit: Visit) -> Response:
        """The same with what was counted."""
        if not visit.query.get("campaign"):
            raise GoTo(url("calculator_file"))
        campaign = await _campaign_of(visit)
        try:
            with self._place():
                async with _file_of(visit) as file:
                    verdict = await self._judge(visit, campaign, file)
        except BodyRefused as refusal:
            sentence = refusal.message if refusal.status == 400 and refusal.message == _NOT_CSV else ""
            return await _page(visit, campaign, error=sentence or _WRONG.get(refusal.status, _UNREADABLE))
        except VerdictExceeded:
            return await _page(visit, campaign, error=_TOO_MUCH)
        except (ChildUnavailable, ProcessingError):
            return await _page(visit, campaign, error=_LATER)
        return await _page(visit, campaign, verdict=verdict)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._under_way >= _MOST_UNDER_WAY:
            raise BodyRefused(429)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _judge(self, visit: Visit, campaign: Campaign, file: BinaryIO) -> Verdict:
        rules = make_rules(campaign.template, visit.settings.environment, visit.settings.messages)
        async with self._turn, VerdictProcesses(_LIMITS, 1) as processes, processes.turn() as judging:
            await asyncio.to_thread(_copy, file, judging.source)
            return await judging.judge(rules, most_findings=MOST_FINDINGS, with_counts=True)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    while block := source.read(_BLOCK):
        target.write(block)


def _check_name(name: str) -> None:
    if not name.lower().endswith(".csv"):
        raise BodyRefused(400, _NOT_CSV)


@asynccontextmanager
async def _file_of(visit: Visit) -> AsyncIterator[BinaryIO]:
    """What was sent, from its beginning. Raises BodyRefused."""
    request = visit.request
    refused_from = visit.settings.sftp.max_upload_bytes
    limits = BodyLimits(refused_from + _BESIDE_FILE, refused_from)
    if int(request.headers.get("content-length", "0")) > limits.most_body:
        raise BodyRefused(413)
    boundary = parse_boundary(request.headers.get("content-type", ""))
    allow_long_body(request.scope)
    async with received_file(request.stream(), boundary, limits, _check_name) as received:
        yield received.file


async def _campaign_of(visit: Visit) -> Campaign:
    """The campaign that the query names. Raises PageRefused: there is none for this visitor."""
    async with visit.connection() as connection:
        place = await fetch_place(connection, visit.query.get("campaign", "").replace("\0", ""))
        if place is None or not visit.may(Action.SEE_CAMPAIGN, place):
            raise PageRefused(404)
        return await fetch_known_campaign(connection, place.id)


async def _page(
    visit: Visit, campaign: Campaign | None, *, verdict: Verdict | None = None, error: str = ""
) -> Response:
    person = visit.person
    async with visit.connection() as connection:
        campaigns = await connection.fetch(
            SQL["list_campaigns"],
            person.id,
            person.is_ops,
            person.agency_id if person.is_pic else None,
            _MOST_CAMPAIGNS,
        )
    counts = verdict.counts if verdict else None
    return await visit.page(
        "guides/file_count.html",
        status=400 if error else 200,
        campaign=campaign,
        campaigns=[(row["id"], row["name"]) for row in campaigns],
        verdict=verdict,
        counts=counts,
        languages=[
            (_name_of(name), messages, counts.segments_of.get(name, 0))
            for name, messages in sorted(counts.messages_of.items())
        ]
        if counts
        else [],
        cost=cost_in_words(
            visit.settings.environment,
            campaign.channel,
            Cost(counts.local_segments, counts.foreign_segments),
            visit.price,
        )
        if counts and campaign
        else "",
        dearer=dearer_in_words(counts) if counts else [],
        error=error,
        most_findings=MOST_FINDINGS,
    )


def _name_of(language: str) -> str:
    found = parse_language(language)
    return LANGUAGES[found][0] if found else language


_counts: Final = FileCounts()
ROUTES: Final = (
    ConsoleRoute(
        "calculator_file",
        "/calculator/file",
        {"GET": _counts.show, "POST": _counts.count},
        Access.USERS,
        takes_files=True,
    ),
)
