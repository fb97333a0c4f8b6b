"""The files that somebody has asked for, as an open page follows them."""

from collections.abc import Hashable, Sequence
from typing import Final

from console.live.views import Fragment, Note
from console.rendering import Renderer
from database.connections import Connection
from processing.exports.exports import list_exports

TEMPLATE: Final = "logs/parts.html"
# Seconds. Progress is announced by nobody.
_LOOKED_AT_EVERY: Final = 1.0


class ExportsView:
    """A user's files of a campaign."""

    interval: float | None = _LOOKED_AT_EVERY

    def __init__(self, user_id: str, campaign_id: str) -> None:
        self._user_id: Final = user_id
        self._campaign_id: Final = campaign_id

    @property
    def key(self) -> Hashable:
        """See LiveView."""
        return ("log exports", self._user_id, self._campaign_id)

    def is_concerned(self, note: Note) -> bool:  # noqa: ARG002 - see LiveView
        """See LiveView."""
        return False

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """See LiveView."""
        exports = await list_exports(connection, self._user_id, self._campaign_id)
        return [Fragment(each.id, renderer.macro(TEMPLATE, "export_card", each)) for each in exports]
