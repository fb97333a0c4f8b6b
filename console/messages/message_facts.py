"""What a message's page says of its status, its attempts and its failure; and how an open page follows that."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from console.live.views import Fragment, Note
from console.messages.batches import fetch_versions
from console.messages.rows import STATUS_KINDS, STATUS_WORDS
from console.messages.tables import Pace
from console.rendering import Renderer
from database.connections import Connection
from messages.documents import attempts_of
from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS, ErrorMeaning, arrival
from messages.retrieval import Attempt, Message, fetch_messages
from messages.statuses import ErrorCode, MessageStatus

_PARTS: Final = "messages/message_parts.html"
# The macros that make them are called like the elements.
_NAMES: Final = ("happened", "attempts", "advice")


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What became of a message. `may_send`: whether whoever looks may send it again; `cost`: what that costs, in words."""

    message: Message
    may_send: bool
    cost: str

    @property
    def word(self) -> str:
        """The console's word for its status."""
        return STATUS_WORDS[self.message.status]

    @property
    def kind(self) -> str:
        """How that is framed."""
        return STATUS_KINDS[self.message.status]

    @property
    def means(self) -> str:
        """What the status means."""
        return STATUS_MEANINGS[self.message.status]

    @property
    def error(self) -> ErrorCode | None:
        """Why it has failed, if it has."""
        if self.message.status is not MessageStatus.FAILURE:
            return None
        return self.message.error or ErrorCode.SERVER_UNKNOWN_ERROR

    @property
    def meaning(self) -> ErrorMeaning | None:
        """What that means, and what to do."""
        return None if self.error is None else ERROR_MEANINGS[self.error]

    @property
    def arrival(self) -> str | None:
        """Whether the recipient of a failed one may have got it."""
        return arrival(self.message)

    @property
    def may_retry(self) -> bool:
        """Whether a retry is offered. One that was stopped stays so."""
        return self.may_send and self.error is not None and self.error is not ErrorCode.STOPPED

    @property
    def attempts(self) -> Sequence[tuple[Attempt, str, str]]:
        """The attempts, newest first, each with its status's word and how that is framed."""
        return [
            (attempt, STATUS_WORDS[attempt.status], STATUS_KINDS[attempt.status])
            for attempt in attempts_of(self.message)
        ]


@dataclass(eq=False)
class MessageView:
    """A message's page that is open."""

    message: Message
    may_send: bool
    make_facts: Callable[[Message], MessageFacts]
    pace: Pace = field(default_factory=Pace)
    _version: str | None = None
    _fragments: Sequence[Fragment] = ()

    @property
    def key(self) -> Hashable:
        """What it shows, to whom."""
        return "message", self.message.id, self.may_send

    @property
    def interval(self) -> float | None:
        """Seconds until it is looked at again."""
        return self.pace.seconds

    def is_concerned(self, note: Note) -> bool:
        """Nothing is announced of messages on their way."""
        return note.kind == "message" and note.id == self.message.id

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """Its status, attempts and advice as they are now."""
        batch = self.message.batch
        (version,) = (await fetch_versions(connection, None, [batch.number]))["versions"]
        if version != self._version:
            self.pace.note_change()
            (self.message,) = await fetch_messages(connection, [(batch.number, self.message.row_number)])
            # The version is that of before the reading, so that nothing is missed.
            self._version = version
            facts = self.make_facts(self.message)
            made = {name: renderer.macro(_PARTS, name, facts) for name in _NAMES}
            self._fragments = [Fragment(name, html) for name, html in made.items()]
        return self._fragments
