"""Reads a row of millions of fields without a turn of Python for each: many places of a block at once.

What a byte means depends on all bytes before it. But whatever came before, a reader is in one of four states, so that each
stretch of the block is read once from each state; then it is known which of the four it was, stretch by stretch.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_BLOCK: Final = 4 * 1024 * 1024
_STRETCH: Final = 1024

# Before the first byte of a field; within an unquoted one; within a quoted one; after a mark that may close a quoted one.
_BEGIN, _UNQUOTED, _QUOTED, _MARK = range(4)
_STATES: Final = 4
# The kinds of bytes.
_OTHER, _QUOTE, _COMMA, _END = range(4)

_KINDS: Final = np.full(256, _OTHER, np.uint8)
_KINDS[list(b'"')] = _QUOTE
_KINDS[list(b",")] = _COMMA
_KINDS[list(b"\r\n")] = _END

# The state after a byte of a kind, at `state * 4 + kind`.
_NEXT: Final = np.array(
    [
        (_UNQUOTED, _QUOTED, _BEGIN, _BEGIN),
        (_UNQUOTED, _UNQUOTED, _BEGIN, _BEGIN),
        (_QUOTED, _MARK, _QUOTED, _QUOTED),
        (_UNQUOTED, _QUOTED, _BEGIN, _BEGIN),
    ],
    np.uint8,
).ravel()


class LongRow(NamedTuple):
    """Where the row's line end stands, or how long the bytes are; whether its marks are wrong, or the last is never closed."""

    stop: int
    malformed: bool
    is_closed: bool


def read_long_row(data: bytes, begin: int, out: memoryview, separator: int) -> LongRow:
    """Reads on in a row from where a field begins, writing `separator` after each field into `out`."""
    codes = np.frombuffer(data, np.uint8)
    target = np.frombuffer(out, np.uint8)
    state, malformed = _BEGIN, False
    for start in range(begin, len(data), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(data)))
        kinds = _KINDS[codes[part]]
        before, state = _states_before(kinds, state)
        ends = np.flatnonzero((kinds == _END) & (before != _QUOTED))
        if len(ends):
            kinds, before = kinds[: ends[0]], before[: ends[0]]
        malformed = malformed or bool(((before == _MARK) & (kinds == _OTHER)).any())
        view = target[start : start + len(kinds)]
        view[(kinds == _COMMA) & (before != _QUOTED)] = separator
        if len(ends):
            return LongRow(start + int(ends[0]), malformed, is_closed=True)
    return LongRow(len(data), malformed, is_closed=state != _QUOTED)


def _states_before(kinds: npt.NDArray[np.uint8], state: int) -> tuple[npt.NDArray[np.uint8], int]:
    """The state before each byte, and after the last one, when it is `state` before the first."""
    count = -(-len(kinds) // _STRETCH)
    padded = np.zeros(count * _STRETCH, np.uint8)
    padded[: len(kinds)] = kinds
    # A column for each stretch, so that the bytes at the same place of all stretches lie side by side.
    columns = np.ascontiguousarray(padded.reshape(count, _STRETCH).T)
    after = np.repeat(np.arange(_STATES, dtype=np.uint8)[:, None], count, axis=1)
    for row in columns:
        after = _NEXT[after * _STATES + row]
    begins = np.empty(count, np.uint8)
    for place, states in enumerate(after.T.tolist()):
        begins[place] = state
        state = states[state]
    before = np.empty_like(columns)
    current = begins
    for place, row in enumerate(columns):
        before[place] = current
        current = _NEXT[current * _STATES + row]
    flat = before.T.reshape(-1)[: len(kinds)]
    last = int(_NEXT[int(flat[-1]) * _STATES + int(kinds[-1])])
    return flat, last
