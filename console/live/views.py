"""What a page shows live, as elements that are sent anew where they change."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from console.rendering import Renderer
from database.connections import Connection


@dataclass(frozen=True, slots=True)
class Note:
    """What was announced: `upload` with its campaign and id, `user` with an id, `campaign` with its id: its access changed."""

    kind: str
    id: str
    campaign_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fragment:
    """An element of a page: its HTML, which has the attribute `id` with this value."""

    id: str
    html: str


class LiveView(Protocol):
    """What some pages show. Views whose `key` is equal show the same, and are rendered once."""

    @property
    def key(self) -> Hashable:
        """What tells it from others: what is shown, and to which kind of viewer."""

    @property
    def interval(self) -> float | None:
        """Seconds after which it is looked at without a note; None: only notes concern it."""

    def is_concerned(self, note: Note) -> bool:
        """Whether what was announced may change it."""

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """All elements as they are now; those of a list in its order, the newest first."""


def parse_note(channel: str, payload: str) -> Note | None:
    """A note from an announcement of the database, see migrations 0001 and 0008."""
    if channel == "sftp_gateway_access":
        return Note("campaign", payload, payload)
    match payload.split(" "):
        case ["upload", campaign_id, upload_id]:
            return Note("upload", upload_id, campaign_id)
        case ["user", user_id]:
            return Note("user", user_id)
        case _:
            return None
