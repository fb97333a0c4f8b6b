"""The list of uploads, and who is connected, as open pages follow them."""

from collections.abc import Hashable, Sequence
from typing import Final

from console.live.views import Fragment, Note
from console.rendering import Renderer
from console.uploads.rows import Filters, UploadRow, list_connected, list_uploads
from console.uploads.scopes import Scope
from database.connections import Connection

TEMPLATE: Final = "uploads/rows.html"
_CONNECTED_EVERY: Final = 2.0


class UploadsView:
    """The newest uploads that somebody sees and asks for. A row that is as it was isn't made anew."""

    interval: float | None = None

    def __init__(self, scope: Scope, filters: Filters) -> None:
        self._scope: Final = scope
        self._filters: Final = filters
        self._made: dict[UploadRow, Fragment] = {}

    @property
    def key(self) -> Hashable:
        """See LiveView."""
        return ("uploads", self._scope.narrowed(self._filters.campaign_id), self._filters)

    def is_concerned(self, note: Note) -> bool:
        """See LiveView."""
        seen = self._scope.narrowed(self._filters.campaign_id)
        return note.kind == "upload" and note.campaign_id is not None and seen.has(note.campaign_id)

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """See LiveView. One fragment tells which rows the list holds: what fits no more leaves the page, before new ones come."""
        rows = await list_uploads(connection, self._scope, self._filters)
        self._made = {row: self._made.get(row) or _fragment(row, renderer) for row in rows}
        fragments = list(self._made.values())
        names = " ".join(fragment.id for fragment in fragments)
        return [*fragments, Fragment("uploads-only", renderer.macro(TEMPLATE, "only", names))]


def _fragment(row: UploadRow, renderer: Renderer) -> Fragment:
    return Fragment(row.element_id, renderer.macro(TEMPLATE, "upload_row", row))


class ConnectedView:
    """Who is connected by SFTP: nobody announces that, so it is looked at every other second while somebody looks at it."""

    interval: float | None = _CONNECTED_EVERY

    def __init__(self, scope: Scope) -> None:
        self._scope: Final = scope

    @property
    def key(self) -> Hashable:
        """See LiveView."""
        return ("connected", self._scope.is_all, self._scope.campaign_ids)

    def is_concerned(self, note: Note) -> bool:  # noqa: ARG002 - see LiveView
        """See LiveView."""
        return False

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """See LiveView."""
        connected = await list_connected(connection, self._scope)
        return [Fragment("connected", renderer.macro(TEMPLATE, "connected_now", connected))]
