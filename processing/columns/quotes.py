"""Quotation marks in a CSV: marks the commas and line ends outside them, and finds the rows where they are wrong.

The grammar is RFC 4180's, and for what is beyond it that of Python's csv module: a field is quoted only if its very
first character is `"`; within it `""` is one mark; after the closing one must come a comma, a line end or the end.
Otherwise the row is malformed, and its field goes on unquoted; so it does when nothing closes it before the end.

Three ways, the first that can answer: parity of the marks over all bytes; a reader's states (`quote_states`), where a mark is
wrong somewhere; one row alone, where it is so long that arrays of its marks would not be bounded. Such a row is read field by
field at first, and by states, a block at a time, where it has very many fields.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from processing.columns.quote_states import read_long_row, read_quotes

QUOTE: Final = 0x22
COMMA: Final = 0x2C
LF: Final = 0x0A
CR: Final = 0x0D

# A mark must be a byte that the upload hasn't: the first three of these that don't occur are taken. ASCII's own
# separators come first.
_CANDIDATES: Final = bytes([0x1F, 0x1E, 0x1D, 0x1C, *range(0x01, 0x09), *range(0x0E, 0x1C), 0x7F])

# No group is repeated in these: a greedy one keeps a state for each turn, which a file of commas would have millions of, and
# possessive ones match wrongly in Python 3.11.2, Debian 12's.
_QUOTES: Final = re.compile(rb'"+')
# What ends fields that don't begin with a mark, in which marks are literal: a line end, or a comma before a quoted field.
_END_OF_UNQUOTED: Final = re.compile(rb'[,\r\n](?:(?<!,)|(?="))')
# A row is read field by field up to so many of them.
_FEW_FIELDS: Final = 2000
# Arrays that are thrown away at once are of this size.
_BLOCK: Final = 512 * 1024

_Codes = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]


def _table(characters: bytes) -> _Flags:
    """For each byte, whether it is one of these."""
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


# What may stand before an opening mark or after a closing one: another mark is the other half of a doubled one.
_BOUNDS: Final = _table(b",\r\n" + b'"')


def unquote(field: bytes) -> bytes:
    """A field's value: without the quotation marks around it, doubled ones made one."""
    return field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field


@dataclass(frozen=True, slots=True)
class Marked:
    """Whole rows: after each field stands `separator`, after each row `end`, and neither anywhere else."""

    text: bytes
    separator: bytes
    end: bytes
    # Places of rows whose quotation marks are wrong, ascending; the last is never closed if `unclosed`.
    malformed: tuple[int, ...] = ()
    unclosed: bool = False


class _Marks(NamedTuple):
    """The bytes written after a field, after a row, and over the CR of a CRLF, to be taken out."""

    separator: int
    end: int
    drop: int


class _Read(NamedTuple):
    """One row read byte by byte: where its line end stands, whether its marks are wrong, or the last never closed."""

    stop: int
    malformed: bool
    is_closed: bool


def mark_fields(data: bytes, *, at_end: bool, alone: bool) -> tuple[Marked | None, int]:
    """Marks the whole rows that `data` begins with, and says how many of its bytes they are.

    Where it has no whole row, that is None and 0.

    Where `at_end`, the last row is whole wherever it stops. `alone`: `data` is longer than arrays of numbers may be,
    so that a row with wrong marks is read alone.
    """
    data, marks = _choose_marks(data)
    codes = np.frombuffer(data, np.uint8)
    parity = np.cumsum(codes == QUOTE, dtype=np.uint8)
    parity &= 1
    inside = parity.view(np.bool_)
    if not _is_wrong(codes, inside):
        return _mark_by_parity(data, codes, inside, marks, at_end=at_end)
    if alone:
        del parity, inside
        return _mark_one(data, marks, at_end=at_end)
    return _mark_by_states(data, codes, marks, at_end=at_end)


def _choose_marks(data: bytes) -> tuple[bytes, _Marks]:
    """Chooses three bytes that don't occur in `data`.

    Where nearly every control character occurs, three of them are replaced by a fourth and become the marks. No rule
    tells the four apart, because each is white space and a control character.
    """
    free = [mark for mark in _CANDIDATES if mark not in data][:3]
    if len(free) < 3:
        free = list(_CANDIDATES[:3])
        data = data.translate(bytes.maketrans(bytes(free), bytes(_CANDIDATES[3:4]) * 3))
    return data, _Marks(*free)


def _blocks(codes: _Codes) -> Iterator[slice]:
    for begin in range(0, len(codes), _BLOCK):
        yield slice(begin, min(begin + _BLOCK, len(codes)))


def _is_wrong(codes: _Codes, inside: _Flags) -> bool:
    """Whether parity misleads: an opening mark that doesn't begin a field, or a closing one that doesn't end it.

    `inside` holds from an opening mark up to before the closing one. The first wrong mark is found for certain, as up
    to it parity was right.
    """
    for part in _blocks(codes):
        # One byte more on either side, where there is one.
        around = slice(max(part.start - 1, 0), part.stop + 1)
        if _wrong_marks(codes[around], inside[around]).any():
            return True
    return False


def _wrong_marks(codes: _Codes, inside: _Flags) -> _Flags:
    """The marks that open beside no bound before them, or close beside none after them; never the outermost bytes."""
    quotes = codes == QUOTE
    bounds = _BOUNDS[codes]
    wrong = np.zeros(len(codes), np.bool_)
    wrong[1:] = quotes[1:] & inside[1:] & ~bounds[:-1]
    wrong[:-1] |= quotes[:-1] & ~inside[:-1] & ~bounds[1:]
    return wrong


def _mark_by_parity(
    data: bytes, codes: _Codes, inside: _Flags, marks: _Marks, *, at_end: bool
) -> tuple[Marked | None, int]:
    out = bytearray(data)
    _mark_outside(codes, inside, out, marks, at_end=at_end)
    used = len(data) if at_end else out.rfind(marks.end) + 1
    if not used:
        return None, 0
    unclosed = at_end and bool(inside[-1])
    del out[used:]
    return _finish(bytes(out), marks, (), unclosed=unclosed), used


def _mark_outside(codes: _Codes, inside: _Flags, out: bytearray, marks: _Marks, *, at_end: bool) -> None:
    """Marks commas and line ends where `inside` isn't set."""
    target = np.frombuffer(out, np.uint8)
    has_returns = CR in out
    for part in _blocks(codes):
        block, outside, view = codes[part], ~inside[part], target[part]
        view[(block == COMMA) & outside] = marks.separator
        view[(block == LF) & outside] = marks.end
        if has_returns:
            returns = (block == CR) & outside
            following = codes[part.start + 1 : part.stop + 1] == LF
            pairs = returns[: len(following)] & following
            view[returns] = marks.end
            view[: len(pairs)][pairs] = marks.drop
    if not at_end and codes[-1] == CR:
        # This CR may be half of a CRLF, so that it isn't marked yet.
        target[-1] = CR


def _finish(text: bytes, marks: _Marks, begins: tuple[int, ...], *, unclosed: bool) -> Marked:
    """Puts the result together. `begins` are the places in `text` where malformed rows begin."""
    end = bytes([marks.end])
    malformed: tuple[int, ...] = ()
    if begins:
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == marks.end)
        malformed = tuple(np.searchsorted(ends, np.array(begins)).tolist())
    if marks.drop in text:
        text = text.translate(None, bytes([marks.drop]))
    if unclosed or not text.endswith(end):
        text += end
    if unclosed and not begins:
        malformed = (text.count(end) - 1,)
    return Marked(text, bytes([marks.separator]), end, malformed, unclosed)


def _mark_one(data: bytes, marks: _Marks, *, at_end: bool) -> tuple[Marked | None, int]:
    """The first row alone."""
    out = bytearray(data)
    view = memoryview(out)
    read = _read_row(data, 0, view, marks, at_end=at_end)
    if read is None:
        return None, 0
    used = _mark_end(data, view, read.stop, marks)
    text = bytes(view[:used])
    return _finish(text, marks, (0,) if read.malformed else (), unclosed=not read.is_closed), used


def _mark_by_states(data: bytes, codes: _Codes, marks: _Marks, *, at_end: bool) -> tuple[Marked | None, int]:
    """The rows as they are read from the first byte on, since marks are wrong somewhere."""
    read = read_quotes(codes)
    stops = _line_stops(codes, at_end=at_end)
    begins = np.concatenate(([0], stops[~read.inside[stops]] + 1))
    used = len(data) if at_end else int(begins[-1])
    if not used:
        return None, 0
    is_malformed = np.zeros(len(begins), np.bool_)
    is_malformed[np.searchsorted(begins, read.wrong, side="right") - 1] = True
    is_malformed[-1] |= read.is_open
    malformed = tuple(begins[is_malformed & (begins < used)].tolist())
    out = bytearray(data)
    _mark_outside(codes, read.inside, out, marks, at_end=at_end)
    text = bytes(memoryview(out)[:used])
    return _finish(text, marks, malformed, unclosed=at_end and read.is_open), used


def _line_stops(codes: _Codes, *, at_end: bool) -> npt.NDArray[np.int64]:
    """Places of the last byte of each line end. A CR that ends the bytes may be half of a CRLF, unless `at_end`."""
    stops = codes == LF
    returns = codes == CR
    if returns.any():
        returns[:-1] &= ~stops[1:]
        if not at_end:
            returns[-1] = False
        stops |= returns
    return np.flatnonzero(stops)


def _read_row(data: bytes, begin: int, out: memoryview, marks: _Marks, *, at_end: bool) -> _Read | None:
    """Reads the row at `begin` as Python's csv module does, marking its fields in `out`; None if it isn't whole."""
    separator = bytes([marks.separator])
    place, malformed = begin, False
    for _ in range(_FEW_FIELDS):
        if data.startswith(b'"', place):
            closed = _close_quoted(data, place + 1)
            if closed is None:
                return _Read(len(data), malformed=True, is_closed=False) if at_end else None
            place = closed
            malformed |= place < len(data) and data[place] not in b",\r\n"
        end = _END_OF_UNQUOTED.search(data, place)
        stop = end.start() if end else len(data)
        if stop > place:
            out[place:stop] = data[place:stop].replace(b",", separator)
        if stop == len(data):
            return _Read(stop, malformed, is_closed=True) if at_end else None
        if data[stop] != COMMA:
            half = data[stop] == CR and stop + 1 == len(data) and not at_end
            return None if half else _Read(stop, malformed, is_closed=True)
        out[stop] = marks.separator
        place = stop + 1
    rest = read_long_row(data, place, out, marks.separator)
    malformed |= rest.malformed
    if rest.stop == len(data):
        if not at_end:
            return None
        return _Read(rest.stop, malformed or not rest.is_closed, rest.is_closed)
    half = data[rest.stop] == CR and rest.stop + 1 == len(data) and not at_end
    return None if half else _Read(rest.stop, malformed, is_closed=True)


def _close_quoted(data: bytes, place: int) -> int | None:
    """The place after the closing mark of a quoted field whose content begins at `place`; None where nothing closes it.

    Of marks that stand together, each two are one of the content; the odd one, the last, closes.
    """
    for quotes in _QUOTES.finditer(data, place):
        if (quotes.end() - quotes.start()) % 2:
            return quotes.end()
    return None


def _mark_end(data: bytes, out: memoryview, stop: int, marks: _Marks) -> int:
    """Marks the line end at `stop`; returns where the next row begins."""
    if stop == len(data):
        return stop
    if data[stop] == CR and data[stop + 1 : stop + 2] == b"\n":
        out[stop] = marks.drop
        stop += 1
    out[stop] = marks.end
    return stop + 1
