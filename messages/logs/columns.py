"""The columns of message logs and delivery reports (9-console.md, `…/logs`)."""

from collections.abc import Sequence
from typing import Final

# What stands before the columns of the parameters, and behind them.
BEFORE: Final = (
    "created", "sent", "delivered", "message id", "batch id", "file name", "recipient", "language",
)  # fmt: skip
BEHIND: Final = (
    "status", "error type", "error code", "attempts", "segments", "encoding", "charged", "creator", "key's name",
)  # fmt: skip


def column_names(parameters: Sequence[str]) -> list[str]:
    """The header row. A parameter that is called like a column of ours says that it is a parameter."""
    own = {*BEFORE, *BEHIND}
    return [*BEFORE, *(f"parameter {name}" if name in own else name for name in parameters), *BEHIND]
