"""From a row to its text: the frame that its batch was validated with, the campaign's body, the row's values."""

import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from config.logs import describe_exception, get_logger
from database.connections import Connection, json_object
from database.queries import NamedQueries
from messages.news import AttemptKey
from rules.messages import Layout

SQL: Final = NamedQueries("sending", "composing.sql")
logger = get_logger("sending")
# Single sends are batches of one, so that most frames are needed once.
_FRAMES_KEPT: Final = 2000
_CAMPAIGNS_KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class TextParts:
    """What an attempt's text is written from. `values` are its row's, in JSON."""

    key: AttemptKey
    language: str
    values: str


@dataclass(frozen=True, slots=True)
class _Frame:
    campaign_id: str
    before: str
    after: dict[str, str]


class Composer:
    """Writes the texts of messages. A campaign's bodies and a batch's frame never change, so they are kept."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, _Frame] = OrderedDict()
        self._layouts: OrderedDict[str, dict[str, Layout]] = OrderedDict()

    async def compose(self, connection: Connection, parts: Iterable[TextParts]) -> dict[AttemptKey, str]:
        """The texts of these. What can't be written, which would be a bug of ours, is left out, and told in a line a batch.

        Raises asyncpg's errors where the database is away.
        """
        messages = list(parts)
        # What is needed is held here, as others compose meanwhile and may leave none of it among what is kept.
        frames = await self._frames_of(connection, {message.key.batch_no for message in messages})
        layouts = await self._layouts_of(connection, {frame.campaign_id for frame in frames.values()})
        texts: dict[AttemptKey, str] = {}
        unwritten: Counter[int] = Counter()
        first_errors: dict[int, Exception] = {}
        for message in messages:
            try:
                frame = frames[message.key.batch_no]
                body = layouts[frame.campaign_id][message.language].fill(json_object(message.values))
                texts[message.key] = frame.before + body + frame.after[message.language]
            except Exception as error:  # noqa: BLE001 - one message's trouble must not keep others from leaving
                unwritten[message.key.batch_no] += 1
                first_errors.setdefault(message.key.batch_no, error)
        for batch_no, count in unwritten.items():
            logger.error(
                "text_unwritten",
                batch_no=batch_no,
                messages=count,
                **describe_exception(first_errors[batch_no]),
            )
        return texts

    def forget(self) -> None:
        """Keep nothing: in another database, such as a restored one, the same numbers may be other batches'."""
        # What is being read for somebody just now goes into those of before.
        self._frames = OrderedDict()
        self._layouts = OrderedDict()

    async def _frames_of(self, connection: Connection, batch_nos: set[int]) -> dict[int, _Frame]:
        """Of these batches, by number. One that can't be read is left out."""
        kept = self._frames
        found = {number: kept[number] for number in batch_nos if number in kept}
        missing = batch_nos - found.keys()
        if missing:
            for row in await connection.fetch(SQL["fetch_frames"], list(missing)):
                if (frame := _read_frame(row["campaign_id"], row["frame"])) is not None:
                    kept[row["batch_no"]] = found[row["batch_no"]] = frame
            _shorten(kept, _FRAMES_KEPT)
        return found

    async def _layouts_of(self, connection: Connection, campaigns: set[str]) -> dict[str, dict[str, Layout]]:
        """Of these campaigns' bodies, by campaign and language. One without bodies is left out."""
        kept = self._layouts
        found = {campaign: kept[campaign] for campaign in campaigns if campaign in kept}
        missing = campaigns - found.keys()
        if missing:
            fetched: defaultdict[str, dict[str, Layout]] = defaultdict(dict)
            for row in await connection.fetch(SQL["fetch_bodies"], list(missing)):
                fetched[row["campaign_id"]][row["language"]] = Layout.of_body(row["body"])
            kept.update(fetched)
            found.update(fetched)
            _shorten(kept, _CAMPAIGNS_KEPT)
        return found


def _read_frame(campaign_id: str, frame: str | None) -> _Frame | None:
    """The frame as it stands with its batch, or None where it is none."""
    match json.loads(frame) if frame is not None else None:
        case {"before": str(before), "after": dict(after)}:
            return _Frame(campaign_id, before, after)
        case _:
            return None


def _shorten(kept: "OrderedDict[int, _Frame] | OrderedDict[str, dict[str, Layout]]", most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
