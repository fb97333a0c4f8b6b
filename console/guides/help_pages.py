"""Help: the guides, what statuses and errors mean, and all reasons: the same words as in e-mails, by API and command line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from starlette.responses import Response

from console.errors import PageRefused
from console.guides.markdown import Block, Piece, plain, read_blocks
from console.paths import url
from console.routes import Access, ConsoleRoute
from console.visits import Visit
from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS
from messages.statuses import ErrorCode, MessageStatus
from rules.codes import FindingCode
from rules.texts import REASONS

# By the name in the path: the file of `docs/`, which stands in the folder `texts`.
GUIDES: Final[Mapping[str, str]] = MappingProxyType({"sftp": "agency-guide.md", "api": "api-guide.md"})
# Console's words for statuses, and what stands behind them (8-api.md §3).
GROUPS: Final[tuple[tuple[str, tuple[MessageStatus, ...]], ...]] = (
    ("pending", (MessageStatus.CREATED, MessageStatus.ENQUEUED, MessageStatus.SENDING)),
    ("sent", (MessageStatus.SENT, MessageStatus.SENT_TO_TELCO)),
    ("success", (MessageStatus.SUCCESS,)),
    ("failure", (MessageStatus.FAILURE,)),
)
_SECTIONS: Final = (
    ("The recipient", "the-recipient", ("recipient_",)),
    ("The language", "the-language", ("language_",)),
    ("A value", "a-value", ("value_",)),
    ("A row", "a-row", ("row_", "encoding_", "message_")),
    ("The file", "the-file", ("",)),
)


@dataclass(frozen=True, slots=True)
class Section:
    """Reasons that are about the same thing."""

    title: str
    anchor: str
    codes: tuple[FindingCode, ...]


async def show_help(visit: Visit) -> Response:
    """What there is."""
    contents = [
        (
            plain(_title_of(blocks)),
            url("help_guide", guide=guide),
            _chapters(blocks, url("help_guide", guide=guide)),
        )
        for guide in GUIDES
        for blocks in [blocks_of(guide)]
    ]
    return await visit.page("guides/help.html", contents=contents)


async def show_guide(visit: Visit) -> Response:
    """One of the guides."""
    guide = visit.parameter("guide")
    if guide not in GUIDES:
        raise PageRefused(404)
    blocks = blocks_of(guide)
    return await visit.page(
        "guides/guide.html",
        title=plain(_title_of(blocks)),
        blocks=[block for block in blocks if block.level != 1],
        chapters=list(_chapters(blocks, "")),
        place_of=place_of,
    )


async def show_statuses(visit: Visit) -> Response:
    """Statuses and errors of messages."""
    return await visit.page(
        "guides/statuses.html",
        groups=[
            (word, [(status.word, STATUS_MEANINGS[status]) for status in statuses])
            for word, statuses in GROUPS
        ],
        errors=[(code, ERROR_MEANINGS[code]) for code in ErrorCode],
    )


async def show_reasons(visit: Visit) -> Response:
    """Why files are refused."""
    return await visit.page("guides/reasons.html", sections=sections(), reasons=REASONS)


@cache
def blocks_of(guide: str) -> tuple[Block, ...]:
    """A guide's blocks. They don't change while this process runs."""
    file = resources.files("console.guides").joinpath("texts", GUIDES[guide])
    return tuple(read_blocks(file.read_text(encoding="utf-8")))


def place_of(target: str) -> str | None:
    """Where a link of a guide leads here; None where what it names is no page of the console."""
    page, _, anchor = target.partition("#")
    places = {name: url("help_guide", guide=guide) for guide, name in GUIDES.items()}
    places |= {"reasons.md": url("help_reasons"), "": ""}
    if page not in places:
        return target if target.startswith("https://") else None
    return f"{places[page]}#{anchor}" if anchor else places[page]


def sections() -> list[Section]:
    """All codes, each in the first section that its beginning fits."""
    left = list(FindingCode)
    found = []
    for title, anchor, beginnings in _SECTIONS:
        codes = tuple(code for code in left if code.value.startswith(beginnings))
        left = [code for code in left if code not in codes]
        found.append(Section(title, anchor, codes))
    return [found[-1], *found[:-1]]


def _title_of(blocks: tuple[Block, ...]) -> tuple[Piece, ...]:
    return next(block.pieces for block in blocks if block.level == 1)


def _chapters(blocks: tuple[Block, ...], path: str) -> Iterator[tuple[str, str]]:
    """Titles of the chapters, and where they are."""
    for block in blocks:
        if block.level == 2:
            yield plain(block.pieces), f"{path}#{block.anchor}"


ROUTES: Final = (
    ConsoleRoute("help", "/help", {"GET": show_help}, Access.USERS),
    ConsoleRoute("help_statuses", "/help/statuses", {"GET": show_statuses}, Access.USERS),
    ConsoleRoute("help_reasons", "/help/reasons", {"GET": show_reasons}, Access.USERS),
    ConsoleRoute("help_guide", "/help/{guide}", {"GET": show_guide}, Access.USERS),
)
