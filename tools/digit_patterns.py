"""Regular expressions over digits as automata: what libphonenumber's metadata is written in.

Only what it uses is understood: digits, `\\d`, classes, `(?:…)`, `|`, `?`, `{n}` and `{n,m}`; anything else is refused.
Used when the recipients' table is compiled, not at run time.
"""

import re
from typing import Final

_DIGITS: Final = "0123456789"
_PIECE: Final = re.compile(r"\\d|\[[0-9-]+\]|\(\?:|\{\d+(?:,\d+)?\}|[0-9|)?]")
DEAD: Final = 0


class DigitPattern:
    """A deterministic automaton, built as far as it is walked. States are small integers; DEAD is the one
    from which no further digit leads to a match.

    `prefix`: accepts every text that begins with a match, as `re.match` does; else only whole matches.
    """

    def __init__(self, pattern: str, *, prefix: bool = False) -> None:
        self._moves: list[list[tuple[str, int]]] = []  # by place: digits, next place
        self._skips: list[list[int]] = []
        self._pieces = _pieces_of(pattern)
        self._at = 0
        first, last = self._alternatives()
        if self._at != len(self._pieces):
            raise ValueError(f"unbalanced pattern: {pattern}")
        if prefix:
            self._moves[last].append((_DIGITS, last))
        self._last = last
        self._numbers: dict[frozenset[int], int] = {frozenset(): DEAD}
        self._places: list[frozenset[int]] = [frozenset()]
        self._steps: dict[tuple[int, str], int] = {}
        self.start = self._number(frozenset({first}))

    def step(self, state: int, digit: str) -> int:
        """The state after one more digit."""
        if state == DEAD:
            return DEAD
        key = state, digit
        if key not in self._steps:
            reached = {
                onward
                for place in self._places[state]
                for digits, onward in self._moves[place]
                if digit in digits
            }
            self._steps[key] = self._number(frozenset(reached))
        return self._steps[key]

    def accepts(self, state: int) -> bool:
        """Whether the digits so far are in the language."""
        return self._last in self._places[state]

    def _number(self, places: frozenset[int]) -> int:
        closed = set(places)
        todo = list(places)
        while todo:
            for onward in self._skips[todo.pop()]:
                if onward not in closed:
                    closed.add(onward)
                    todo.append(onward)
        key = frozenset(closed)
        if key not in self._numbers:
            self._numbers[key] = len(self._places)
            self._places.append(key)
        return self._numbers[key]

    def _place(self) -> int:
        self._moves.append([])
        self._skips.append([])
        return len(self._moves) - 1

    def _alternatives(self) -> tuple[int, int]:
        """Reads `a|b|…` from the current token on; gives its first and last place."""
        first, last = self._place(), self._place()
        while True:
            begin, end = self._sequence()
            self._skips[first].append(begin)
            self._skips[end].append(last)
            if self._at == len(self._pieces) or self._pieces[self._at] != "|":
                return first, last
            self._at += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self._place()
        while self._at < len(self._pieces) and self._pieces[self._at] not in ("|", ")"):
            begin_at = self._at
            begin, end = self._atom()
            least, most = self._repetition()
            after_at = self._at
            # The atom is read anew for each further time it may stand there.
            for time in range(most):
                if time:
                    self._at = begin_at
                    begin, end = self._atom()
                if time >= least:
                    self._skips[begin].append(end)
                self._skips[last].append(begin)
                last = end
            self._at = after_at
        return first, last

    def _atom(self) -> tuple[int, int]:
        piece = self._pieces[self._at]
        self._at += 1
        if piece == "(?:":
            inner = self._alternatives()
            if self._at == len(self._pieces) or self._pieces[self._at] != ")":
                raise ValueError("unbalanced pattern")
            self._at += 1
            return inner
        first, last = self._place(), self._place()
        self._moves[first].append((_digits_of(piece), last))
        return first, last

    def _repetition(self) -> tuple[int, int]:
        piece = self._pieces[self._at] if self._at < len(self._pieces) else ""
        if piece == "?":
            self._at += 1
            return 0, 1
        if piece.startswith("{"):
            self._at += 1
            least, _, most = piece[1:-1].partition(",")
            return int(least), int(most or least)
        return 1, 1


def _pieces_of(pattern: str) -> list[str]:
    pieces = _PIECE.findall(pattern)
    if "".join(pieces) != pattern:
        raise ValueError(f"not understood: {pattern}")
    return pieces


def _digits_of(piece: str) -> str:
    if piece == r"\d":
        return _DIGITS
    if piece in _DIGITS:
        return piece
    if not piece.startswith("["):
        raise ValueError(f"not understood: {piece}")
    return "".join(digit for digit in _DIGITS if re.fullmatch(piece, digit))
