"""Which characters make messages dearer: those beside which all of a message is GSM-7, so that it takes more segments as UCS-2.

A message is compared with itself as it would be if a character of GSM-7 stood in each of their places. Messages in languages that
are written in another script need UCS-2 whatever stands in them, and aren't looked at.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from processing.checked.counts import LETTERS, OTHERS, SEVERAL
from rules.characters.gsm7 import all_gsm7, is_gsm7
from rules.columns.gsm7 import outside_characters, with_gsm7
from rules.columns.measures import measure
from rules.columns.segments import segment_columns
from rules.messages import Layout
from rules.segments import UCS2
from rules.templates import Language

_MOST_CHARACTERS: Final = 10


class DearerMessages:
    """Counts messages that a character makes dearer: how many, their further segments, and how many need just a second one."""

    def __init__(self, parameters: Sequence[str], framed: Mapping[Language, Layout]) -> None:
        self._parameters: Final = tuple(parameters)
        self._framed: Final = {
            language.value: layout
            for language, layout in framed.items()
            if not any(map(_is_strange_letter, "".join(layout.literals)))
        }
        self._found: Final[dict[str, list[int]]] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Messages with their `language`, `values` (JSON within COPY text), `segments` and `encoding`."""
        ucs2 = rows.filter(pl.col("encoding") == UCS2)
        for language, layout in self._framed.items():
            messages = ucs2.filter(pl.col("language") == language)
            if messages.height:
                self._compare(messages, layout)

    def of(self) -> dict[str, list[int]]:
        """These counts by the character; of many, those that most messages have. Not all names are characters: see above."""
        told = sorted(self._found, key=lambda name: (-self._found[name][0], name))
        characters = [name for name in told if len(name) == 1]
        shown = {
            name: self._found[name] for name in told if len(name) > 1 or name in characters[:_MOST_CHARACTERS]
        }
        if rest := [self._found[name] for name in characters[_MOST_CHARACTERS:]]:
            shown[OTHERS] = [sum(each) for each in zip(*rest, strict=True)]
        return shown

    def _compare(self, messages: pl.DataFrame, layout: Layout) -> None:
        values = self._values(messages["values"])
        literals = [all_gsm7(literal) for literal in layout.literals]
        measured = {name: measure(with_gsm7(values[name])) for name in set(layout.parameters)}
        columns = [measured[name] for name in layout.parameters]
        cheaper = segment_columns(literals, columns, messages.height).segments.astype(np.int64)
        segments = messages["segments"].to_numpy()
        dearer = np.flatnonzero(cheaper < segments)
        if not len(dearer):
            return
        fixed = {character for literal in layout.literals for character in literal if not is_gsm7(character)}
        if layout.parameters:
            joined = pl.concat_str([values[name].gather(dearer) for name in dict.fromkeys(layout.parameters)])
            found = outside_characters(pl.select(joined).to_series())
        else:
            found = pl.Series([[]] * len(dearer), dtype=pl.List(pl.String))
        reasons = [_reason(fixed.union(characters)) for characters in found]
        for reason, more, is_second in zip(
            reasons, segments[dearer] - cheaper[dearer], segments[dearer] == 2, strict=True
        ):
            counts = self._found.setdefault(reason, [0, 0, 0])
            counts[0] += 1
            counts[1] += int(more)
            counts[2] += int(is_second)

    def _values(self, series: pl.Series) -> dict[str, pl.Series]:
        """The values' columns. COPY text doubles each backslash of the JSON."""
        if not self._parameters:
            return {}
        json = series.str.replace_all("\\\\", "\\", literal=True)
        return (
            json.str.json_decode(pl.Struct(dict.fromkeys(self._parameters, pl.String)))
            .struct.unnest()
            .to_dict()
        )


def _reason(characters: set[str]) -> str:
    if len(characters) > 1:
        return SEVERAL
    character = characters.pop()
    return LETTERS if _is_strange_letter(character) else character


def _is_strange_letter(character: str) -> bool:
    """Whether it is written in a script that GSM-7 has no letters of, and so may be somebody's name."""
    return (
        not is_gsm7(character)
        and unicodedata.category(character)[0] in "LM"
        and not unicodedata.name(character, "").startswith(("LATIN", "MODIFIER LETTER", "COMBINING"))
    )
