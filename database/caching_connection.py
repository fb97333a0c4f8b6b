"""The connection that all parts have: the library's own, which asks for PostgreSQL's array types once a process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    _Base = asyncpg.Connection[asyncpg.Record]
else:
    _Base = asyncpg.Connection

# PostgreSQL gives lower numbers to types by hand, alike on every server ("System Catalog Initial Data").
_FIRST_OF_A_SERVERS_OWN: Final = 10_000
# pg_type.typtype of row types. Those of the catalogs have such numbers too, and their columns differ by version.
_ROW_TYPE: Final = b"c"
# What the library was told, by the numbers that it asked for together.
_known: Final[dict[frozenset[int], Any]] = {}


@dataclass(frozen=True, slots=True)
class _NotAsked:
    """Stands for the statement that the library would have asked by: one with a name, so that no other one was lost by it."""

    name: str = "not asked"


class CachingConnection(_Base):
    """A connection that asks for what PostgreSQL has built in once a process, and not once a connection.

    The library's question is a recursive one over the catalogs, which costs the server more to plan than most sessions of ours
    cost in all; each connection asks it before its first statement with an array. Types of a database's own are asked for anew.
    """

    async def _introspect_types(self, typeoids: Any, timeout: float | None) -> tuple[Any, Any]:
        asked = frozenset(typeoids)
        if asked in _known:
            return _known[asked], _NotAsked()
        answer, statement = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
        is_fixed = all(row["oid"] < _FIRST_OF_A_SERVERS_OWN and row["kind"] != _ROW_TYPE for row in answer)
        if is_fixed and asked <= {row["oid"] for row in answer}:
            _known[asked] = answer
        return answer, statement
