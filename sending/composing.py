"""From a claimed message to its text: the frame that its batch was validated with, the campaign's body, the row's values."""

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from config.logs import describe_exception, get_logger
from database.connections import Connection
from database.queries import NamedQueries
from messages.news import AttemptKey
from rules.messages import Layout
from rules.templates import Language
from sending.claims import ClaimedMessage
from sending.providers.provider import Outgoing

SQL: Final = NamedQueries("sending", "composing.sql")
logger = get_logger("sending")
# Single sends are batches of one, so that most frames are needed once.
_FRAMES_KEPT: Final = 2000
_CAMPAIGNS_KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class _Frame:
    campaign_id: str
    before: str
    after: dict[str, str]


class Composer:
    """Writes the texts of claimed messages. A campaign's bodies and a batch's frame never change, so they are kept."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, _Frame] = OrderedDict()
        self._layouts: OrderedDict[str, dict[str, Layout]] = OrderedDict()

    async def compose(
        self, connection: Connection, claimed: Iterable[ClaimedMessage]
    ) -> tuple[list[Outgoing], list[AttemptKey]]:
        """The messages as they leave, in their order; and those whose text can't be written, which would be a bug of ours.

        Raises asyncpg's errors where the database is away.
        """
        messages = list(claimed)
        await self._fetch_missing(connection, {message.key.batch_no for message in messages})
        outgoing: list[Outgoing] = []
        unwritten: list[AttemptKey] = []
        for message in messages:
            try:
                outgoing.append(self._compose_one(message))
            except Exception as error:  # noqa: BLE001 - one message's trouble must not keep others from leaving
                logger.error("text_unwritten", batch_no=message.key.batch_no, **describe_exception(error))  # noqa: TRY400
                unwritten.append(message.key)
        _shorten(self._frames, _FRAMES_KEPT)
        _shorten(self._layouts, _CAMPAIGNS_KEPT)
        return outgoing, unwritten

    def _compose_one(self, message: ClaimedMessage) -> Outgoing:
        frame = self._frames[message.key.batch_no]
        body = self._layouts[frame.campaign_id][message.language].fill(message.values)
        return Outgoing(
            key=message.key,
            recipient=message.recipient,
            text=frame.before + body + frame.after[message.language],
            segments=message.segments,
            encoding=message.encoding,
            is_otp=message.is_otp,
        )

    async def _fetch_missing(self, connection: Connection, batch_nos: set[int]) -> None:
        missing = [number for number in batch_nos if number not in self._frames]
        if missing:
            for row in await connection.fetch(SQL["fetch_frames"], missing):
                frame = json.loads(row["frame"])
                self._frames[row["batch_no"]] = _Frame(row["campaign_id"], frame["before"], frame["after"])
        campaigns = {self._frames[number].campaign_id for number in batch_nos}
        unknown = [campaign for campaign in campaigns if campaign not in self._layouts]
        if unknown:
            for row in await connection.fetch(SQL["fetch_bodies"], unknown):
                layouts = self._layouts.setdefault(row["campaign_id"], {})
                layouts[Language(row["language"]).value] = Layout.of_body(row["body"])


def _shorten(kept: "OrderedDict[int, _Frame] | OrderedDict[str, dict[str, Layout]]", most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
