"""What a connection tells of itself, for whoever counts connections and makes room for new ones."""

from typing import Protocol


class Events(Protocol):
    """Told by one connection."""

    def on_busy(self) -> None:
        """A request is being answered that must not be cut."""

    def on_idle(self) -> None:
        """The connection waits for a request, or for nothing that matters: it may be cut to make room."""

    def on_held(self) -> None:
        """Its answer is held back on purpose: it is the first to be cut to make room."""

    def on_end(self) -> None:
        """The connection is over."""

    def on_slow(self) -> None:
        """The connection is cut because something took too long."""
