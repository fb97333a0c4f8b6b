"""The row checks over one chunk's columns: recipients, languages, values, lengths; and the messages of a good chunk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from config.environment import Environment
from processing.columns.chunk_rows import Rows
from processing.columns.findings import ChunkFindings, FindingGroups, numbers_column, quote_column
from processing.columns.header import LANGUAGE, RECIPIENT
from rules.characters.unsupported import describe_unsupported
from rules.codes import FindingCode
from rules.columns.languages import LANGUAGE_FINDINGS, LANGUAGES, check_languages
from rules.columns.measures import Measures, body_length_column, measure
from rules.columns.recipients import EXPLAINED, check_recipients
from rules.columns.unsupported import UnsupportedColumn
from rules.columns.values import (
    CONTROL,
    CONTROL_CLASS,
    FLAG_CODES,
    GARBLED,
    MARKUP,
    MISSING,
    SPREADSHEET_ERROR,
    UNSUPPORTED,
    ValueColumn,
    check_values,
)
from rules.languages import hint_of_language
from rules.markup import first_markup
from rules.messages import BODY_LIMIT, Layout, layouts_of
from rules.recipients import RECIPIENT_FINDINGS, describe_invisible, explain_not_digits
from rules.spreadsheets import describe_error
from rules.templates import Language, Template
from rules.texts import NO_NUMBER, ONLY_CONTROLS, join_names
from rules.values import ValueRule, describe_unseen

# The nearest language is looked up for at most so many different texts of a chunk: for a column of names it would take
# seconds.
_SUGGESTIONS: Final = 500
_ENGLISH: Final = LANGUAGES.index(Language.ENGLISH)


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """A chunk's rows and what is wrong with them. `languages` are places in LANGUAGES; `measures` are by parameter."""

    rows: Rows
    languages: npt.NDArray[np.uint8]
    measures: Mapping[str, Measures]
    findings: ChunkFindings | None
    has_avoidable: bool
    has_unicode: bool


@dataclass(frozen=True, slots=True)
class Checks:
    """What the row checks depend on. `fields` is the number of columns that a row must have."""

    template: Template
    environment: Environment
    values: ValueRule
    fields: int
    layouts: Mapping[Language, Layout]

    @classmethod
    def of_template(
        cls, template: Template, environment: Environment, values: ValueRule, fields: int
    ) -> "Checks":
        """Prepares them once per upload."""
        return cls(template, environment, values, fields, layouts_of(template))

    def check(self, rows: Rows, *, with_texts: bool = True) -> CheckedRows:
        """All findings of all rows."""
        findings = FindingGroups(with_texts)
        self._tell_row_findings(rows, findings)
        if not len(rows.numbers):
            return CheckedRows(rows, np.zeros(0, np.uint8), {}, findings.sorted(), False, False)
        self._check_recipients(rows, findings)
        languages = self._check_languages(rows, findings)
        columns = self._check_values(rows, languages == _ENGLISH, findings)
        measures = {name: measure(rows.cells[name], column.suspects) for name, column in columns.items()}
        self._check_lengths(rows, languages, measures, findings)
        has_avoidable = any(len(column.unsupported.rows) for column in columns.values())
        has_unicode = any(one.non_gsm7 is not None and bool(one.non_gsm7.any()) for one in measures.values())
        return CheckedRows(rows, languages, measures, findings.sorted(), has_avoidable, has_unicode)

    def _tell_row_findings(self, rows: Rows, findings: FindingGroups) -> None:
        for code, numbers in rows.findings.numbers.items():
            counts = np.array(rows.findings.fields[code], np.int64)
            places = np.array(numbers, np.int64)
            findings.add(code, places[counts == 0], {}, text=ONLY_CONTROLS)
            told = counts > 0
            facts: dict[str, str | pl.Series] = {
                "count": numbers_column(counts[told]),
                "expected": f"{self.fields:,}",
            }
            findings.add(code, places[told], facts)

    def _check_recipients(self, rows: Rows, findings: FindingGroups) -> None:
        series = rows.cells[RECIPIENT]
        places = check_recipients(series, self.environment)
        for place in np.unique(places[places > 0]).tolist():
            code = RECIPIENT_FINDINGS[place]
            if code:
                those = np.flatnonzero(places == place)
                texts = series.gather(those)
                facts: dict[str, str | pl.Series] = {"value": quote_column(texts)}
                if code is FindingCode.RECIPIENT_NOT_DIGITS:
                    facts = {"explanation": _explain_not_digits(texts)}
                elif code is FindingCode.RECIPIENT_INVISIBLE_CHARACTER:
                    facts["character"] = _each_once(texts, describe_invisible)
                findings.add(code, rows.numbers[those], facts, RECIPIENT)

    def _check_languages(self, rows: Rows, findings: FindingGroups) -> npt.NDArray[np.uint8]:
        series = rows.cells[LANGUAGE]
        languages, places = check_languages(series, self.template.bodies)
        if places is not None:
            available = join_names([language.value for language in self.template.bodies])
            for place in np.unique(places[places > 0]).tolist():
                code = LANGUAGE_FINDINGS[place]
                those = np.flatnonzero(places == place)
                if code:
                    texts = series.gather(those)
                    hint = self._hints(texts) if code is FindingCode.LANGUAGE_UNKNOWN else ""
                    facts: dict[str, str | pl.Series] = {"value": quote_column(texts), "hint": hint}
                    facts["languages"] = available
                    findings.add(code, rows.numbers[those], facts, LANGUAGE)
        return languages

    def _hints(self, texts: pl.Series) -> pl.Series:
        hints = {}
        for text in texts.unique(maintain_order=True).head(_SUGGESTIONS):
            hints[text] = hint_of_language(text, self.template.bodies)
        return _look_up(texts, hints)

    def _check_values(
        self, rows: Rows, english: npt.NDArray[np.bool_], findings: FindingGroups
    ) -> dict[str, ValueColumn]:
        columns = {}
        for name in self.template.parameters:
            series = rows.cells[name]
            column = columns[name] = check_values(series, english, self.values)
            if column.flags is None:
                continue
            for flag, code in FLAG_CODES:
                those = np.flatnonzero(column.flags & flag)
                if len(those):
                    facts: dict[str, str | pl.Series] = {"column": name}
                    facts |= self._value_facts(flag, column, column.meant.gather(those))
                    findings.add(code, rows.numbers[those], facts, name)
        return columns

    def _value_facts(self, flag: int, column: ValueColumn, texts: pl.Series) -> dict[str, str | pl.Series]:
        """What the finding of a flag tells of each of `texts`, the values that have it, besides the column."""
        if flag == MISSING:
            return {"hint": _each_once(texts, describe_unseen)}
        if flag == GARBLED:
            return {"value": quote_column(texts)}
        if flag == CONTROL:
            return {"code_point": _control_code_points(texts)}
        if flag == SPREADSHEET_ERROR:
            return {"explanation": _each_once(texts, describe_error)}
        if flag == MARKUP:
            found = {text: first_markup(text) for text in texts.unique()}
            markup = {text: one.text for text, one in found.items() if one}
            advice = {text: one.advice for text, one in found.items() if one}
            return {"markup": _look_up(texts, markup), "advice": _look_up(texts, advice)}
        return dict(self._unsupported_facts(column.unsupported)) if flag == UNSUPPORTED else {}

    def _unsupported_facts(self, found: UnsupportedColumn) -> dict[str, pl.Series]:
        characters, advice = {}, {}
        for character in found.characters.unique():
            told = describe_unsupported(character, self.values.unsupported)
            characters[character] = told.named
            advice[character] = told.advice
        return {
            "character": _look_up(found.characters, characters),
            "advice": _look_up(found.characters, advice),
        }

    def _check_lengths(
        self,
        rows: Rows,
        languages: npt.NDArray[np.uint8],
        measures: Mapping[str, Measures],
        findings: FindingGroups,
    ) -> None:
        lengths = np.zeros(len(rows.numbers), np.int64)
        for language, layout in self.layouts.items():
            those = languages == LANGUAGES.index(language)
            if those.any():
                np.copyto(lengths, body_length_column(layout, measures), where=those)
        over = np.flatnonzero(lengths > BODY_LIMIT)
        if len(over):
            facts: dict[str, str | pl.Series] = {
                "count": numbers_column(lengths[over]),
                "excess": numbers_column(lengths[over] - BODY_LIMIT),
                "limit": f"{BODY_LIMIT:,}",
            }
            findings.add(FindingCode.MESSAGE_TOO_LONG, rows.numbers[over], facts)


def _control_code_points(series: pl.Series) -> pl.Series:
    characters = series.str.extract(f"({CONTROL_CLASS})", 1)
    return _look_up(characters, {one: f"U+{ord(one):04X}" for one in characters.unique().drop_nulls()})


def _explain_not_digits(texts: pl.Series) -> pl.Series:
    """`explain_not_digits` of each text."""
    explanations = quote_column(texts) + NO_NUMBER
    asked = texts.str.contains(EXPLAINED).arg_true()
    return explanations.scatter(asked, [explain_not_digits(text) for text in texts.gather(asked)])


def _each_once(texts: pl.Series, words: Callable[[str], str]) -> pl.Series:
    """For each text its words, which are asked once for each text that there is."""
    return _look_up(texts, {text: words(text) for text in texts.unique()})


def _look_up(texts: pl.Series, words: Mapping[str, str]) -> pl.Series:
    """For each text its word, or nothing."""
    return texts.replace_strict(
        pl.Series(list(words), dtype=pl.String),
        pl.Series(list(words.values()), dtype=pl.String),
        default="",
        return_dtype=pl.String,
    )
