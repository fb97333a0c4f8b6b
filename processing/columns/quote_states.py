"""Reads rows with wrong quotation marks without a turn of Python for each field: many places of a block at once.

What a byte means depends on all bytes before it. But whatever came before, a reader is in one of four states, so that each
stretch of the block is read once from each state; then it is known which of the four it was, stretch by stretch.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_BLOCK: Final = 4 * 1024 * 1024
_LONGEST_STRETCH: Final = 1024

# Before the first byte of a field; within an unquoted one; within a quoted one; after a mark that may close a quoted one.
_BEGIN, _UNQUOTED, _QUOTED, _MARK = range(4)
_STATES: Final = 4
# The kinds of bytes.
_OTHER, _QUOTE, _COMMA, _END = range(4)

_KINDS: Final = np.full(256, _OTHER, np.uint8)
_KINDS[list(b'"')] = _QUOTE
_KINDS[list(b",")] = _COMMA
_KINDS[list(b"\r\n")] = _END

# The state after a byte of a kind, at `kind * 4 + state`.
_NEXT: Final = np.array(
    [
        (_UNQUOTED, _UNQUOTED, _QUOTED, _UNQUOTED),
        (_QUOTED, _UNQUOTED, _MARK, _QUOTED),
        (_BEGIN, _BEGIN, _QUOTED, _BEGIN),
        (_BEGIN, _BEGIN, _QUOTED, _BEGIN),
    ],
    np.uint8,
).ravel()
# What bytes make of each of the four states is one number: two bits for each state, the first one's the lowest.
_NOTHING_YET: Final = 0b11_10_01_00


def _made_of(state: int, states: int) -> int:
    """What bytes that make `states` of the four make of one."""
    return states >> 2 * state & 3


# What is made of the four with one byte more, at `kind * 256 + states`.
_THEN: Final = np.array(
    [
        sum(int(_NEXT[kind * _STATES + _made_of(state, states)]) << 2 * state for state in range(_STATES))
        for kind in range(_STATES)
        for states in range(256)
    ],
    np.uint8,
)


class LongRow(NamedTuple):
    """Where the row's line end stands, or how long the bytes are; whether its marks are wrong, or the last is never closed."""

    stop: int
    malformed: bool
    is_closed: bool


class QuoteStates(NamedTuple):
    """What rows of wrong marks were read as.

    `inside`: which commas and line ends are within quotation marks; of other bytes it says nothing. `wrong`: the places of the
    bytes after a closing mark that should have ended the field, ascending. `is_open`: the last mark is never closed.
    """

    inside: npt.NDArray[np.bool_]
    wrong: npt.NDArray[np.int64]
    is_open: bool


def read_quotes(codes: npt.NDArray[np.uint8]) -> QuoteStates:
    """Reads bytes that begin with a row, over as many rows as they have."""
    kinds = _KINDS[codes]
    # Of other bytes that stand together only the first one can change the state.
    matters = kinds != _OTHER
    matters[1:] |= matters[:-1].copy()
    matters[0] = True
    kinds = kinds[matters]
    before, last = _states_before(kinds, _BEGIN)
    inside = np.zeros(len(codes), np.bool_)
    inside[matters] = before == _QUOTED
    wrong = np.flatnonzero(matters)[(before == _MARK) & (kinds == _OTHER)]
    return QuoteStates(inside, wrong, is_open=last == _QUOTED)


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
    stretch = max(1, min(_LONGEST_STRETCH, math.isqrt(len(kinds))))
    count = -(-len(kinds) // stretch)
    padded = np.zeros(count * stretch, np.uint8)
    padded[: len(kinds)] = kinds
    # A column for each stretch, so that the bytes at the same place of all stretches lie side by side.
    columns = np.ascontiguousarray(padded.reshape(count, stretch).T)
    after = np.full(count, _NOTHING_YET, np.uint8)
    for row in columns.astype(np.uint16) * 256:
        after = _THEN.take(row + after)
    begins = np.empty(count, np.uint8)
    for place, states in enumerate(after.tolist()):
        begins[place] = state
        state = _made_of(state, states)
    before = np.empty_like(columns)
    current = begins
    for place, row in enumerate(columns * _STATES):
        before[place] = current
        current = _NEXT.take(row + current)
    flat = before.T.reshape(-1)[: len(kinds)]
    last = int(_NEXT[kinds[-1] * _STATES + flat[-1]])
    return flat, last
