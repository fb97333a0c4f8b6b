"""Reasons read back: from what a report says of a row to the codes and columns that are meant. The inverse of `rules.texts`.

A report keeps words alone, several reasons of a row joined by `; `. Every text begins in a way of its own: with `recipient`,
`language`, a column's name, or what is said of a row. What can't be told apart is given back as it stands, without a code.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Final

from rules.codes import FindingCode
from rules.texts import ONLY_CONTROLS, REASONS

_RECIPIENT: Final = "recipient"
_LANGUAGE: Final = "language"
# No fact of a reason is longer: values are cut at 40 characters, each of which may be escaped to ten.
_MOST_FACT: Final = 900
# How explanations of recipients and of spreadsheets' errors end, whatever they begin with.
_EXPLAINED: Final = "(?: digits only| save the file again)"
_BEGINNINGS: Final = ("the row ", "the message ", "a quotation mark ")


@dataclass(frozen=True, slots=True)
class ToldReason:
    """One reason of a row. `code` is None where the words are not ours; `column` is None where the row as a whole is meant."""

    text: str
    code: FindingCode | None
    column: str | None


class ReasonReader:
    """Reads the reasons of one report, whose header row has these columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        names = sorted({_RECIPIENT, _LANGUAGE, *filter(None, columns)}, key=lambda name: (-len(name), name))
        column = "|".join(map(re.escape, names))
        begins = "|".join([*map(re.escape, _BEGINNINGS), f"(?:{column}) "])
        self._end: Final = rf"(?=; (?:{begins})|\Z)"
        self._other: Final = re.compile(rf".+?{self._end}", re.DOTALL)
        self._column: Final = column
        self._of_row = self._patterns(_BEGINNINGS)
        self._of_recipient = self._patterns((f"{_RECIPIENT} ",))
        self._of_language = self._patterns((f"{_LANGUAGE} ",))
        self._of_values = self._patterns(("{column} ",))

    def read(self, text: str) -> Iterator[ToldReason]:
        """The reasons that stand there, in their order."""
        place = 0
        while place < len(text):
            end, code, column = self._read_one(text, place)
            yield ToldReason(text[place:end], code, column)
            place = end + len("; ")

    def _read_one(self, text: str, place: int) -> tuple[int, FindingCode | None, str | None]:
        for code, pattern in self._candidates(text, place):
            if found := pattern.match(text, place):
                groups = found.groupdict()
                return found.end(), code, groups.get("column") or _column_of(code)
        found = self._other.match(text, place)
        return (found.end() if found else len(text)), None, None

    def _candidates(self, text: str, place: int) -> Iterator[tuple[FindingCode, re.Pattern[str]]]:
        if text.startswith(_BEGINNINGS, place):
            yield from self._of_row
        elif text.startswith(f"{_RECIPIENT} ", place):
            yield from self._of_recipient
        elif text.startswith(f"{_LANGUAGE} ", place):
            yield from self._of_language
        yield from self._of_values

    def _patterns(self, beginnings: tuple[str, ...]) -> list[tuple[FindingCode, re.Pattern[str]]]:
        """Of all texts that begin so; those that say least by themselves come last."""
        texts = [
            (code, text)
            for code, reason in REASONS.items()
            for text in (reason.value_text, reason.text)
            if text is not None and text.startswith(beginnings)
        ]
        if any(ONLY_CONTROLS.startswith(beginning) for beginning in beginnings):
            texts.append((FindingCode.ROW_TOO_FEW_FIELDS, ONLY_CONTROLS))
        texts.sort(key=lambda pair: -sum(len(literal) for literal, _, _, _ in Formatter().parse(pair[1])))
        return [(code, re.compile(self._expression(text), re.DOTALL)) for code, text in texts]

    def _expression(self, text: str) -> str:
        parts: list[str] = []
        for literal, name, _, _ in Formatter().parse(text):
            parts.append(re.escape(literal))
            if name == "column":
                parts.append(f"(?P<column>{self._column})")
            elif name is not None:
                parts.append(rf".{{0,{_MOST_FACT}}}?{_EXPLAINED if name == 'explanation' else ''}")
        return "".join(parts) + self._end


def _column_of(code: FindingCode) -> str | None:
    if code.startswith("recipient_"):
        return _RECIPIENT
    return _LANGUAGE if code.startswith("language_") else None
