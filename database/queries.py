"""SQL lives in `.sql` files beside the module that runs it: blocks that begin with `-- name: fetch_something`."""

import re
from functools import cache
from importlib import resources
from typing import Final, LiteralString, cast

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class NamedQueries:
    """The named statements of one `.sql` file, read at the first use: `SQL["fetch_campaign"]`."""

    def __init__(self, room: str, file_name: str) -> None:
        self._room = room
        self._file_name = file_name

    def __getitem__(self, name: str) -> LiteralString:
        """The statement called `name`. The files are part of the program, as literal as its code. Raises KeyError."""
        return _read(self._room, self._file_name)[name]


@cache
def _read(room: str, file_name: str) -> dict[str, LiteralString]:
    text = resources.files(room).joinpath(file_name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: cast("LiteralString", statement.strip()) for name, statement in pairs}
