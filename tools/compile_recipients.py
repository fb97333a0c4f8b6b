"""Compiles libphonenumber's metadata into the table that `recipients` looks numbers up in.

    python -m tools.compile_recipients

Needs the development requirement `phonenumbers`; run it when that is updated, and commit what it writes. The patterns
are walked as automata, in libphonenumber's own order of decision, for every length of number; the outcome is a sorted
list of intervals of whole numbers (calling code and national number in one), each with the finding of its numbers.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberDesc

from rules.codes import FindingCode
from rules.recipients import (
    CODE_BITS,
    MAX_DIGITS,
    RECIPIENT_FINDINGS,
    SIMULATOR_NUMBERS,
    TABLE_ABOUT_PATH,
    TABLE_PATH,
)
from tools.digit_patterns import DEAD, DigitPattern

# What libphonenumber makes of a national number.
UNKNOWN: Final = 0
REACHABLE: Final = 1  # MOBILE, FIXED_LINE, FIXED_LINE_OR_MOBILE, PERSONAL_NUMBER, VOIP
NOT_REACHABLE: Final = 2  # TOLL_FREE, PREMIUM_RATE, SHARED_COST, UAN, PAGER, VOICEMAIL
# The next region of the calling code is asked; where there is none, the number is unknown.
NOT_ITS_OWN: Final = 3

SINGAPORE: Final = 65
SINGAPORE_LENGTH: Final = 8
NON_GEOGRAPHIC: Final = "001"

# The order of phonenumberutil._number_type_helper, after the general description; the first that matches decides.
_DECISIONS: Final = (
    ("premium_rate", NOT_REACHABLE),
    ("toll_free", NOT_REACHABLE),
    ("shared_cost", NOT_REACHABLE),
    ("voip", REACHABLE),
    ("personal_number", REACHABLE),
    ("pager", NOT_REACHABLE),
    ("uan", NOT_REACHABLE),
    ("voicemail", NOT_REACHABLE),
    ("fixed_line", REACHABLE),
    ("mobile", REACHABLE),
)

_place_of = RECIPIENT_FINDINGS.index
FINE: Final = _place_of(None)


class Interval(NamedTuple):
    """Numbers from `first` to just before the next interval's, and what holds of them."""

    first: int
    answer: int


class _Description(NamedTuple):
    """One kind of number: its pattern, and the lengths it may have (none told: those of the general description)."""

    pattern: DigitPattern
    lengths: Sequence[int]

    @classmethod
    def read(cls, described: PhoneNumberDesc | None) -> "_Description | None":
        """What the metadata says; None where the region has no such numbers."""
        if described is None or not described.national_number_pattern:
            return None
        return cls(DigitPattern(described.national_number_pattern), described.possible_length)

    def may_have(self, length: int) -> bool:
        """Whether a number of this kind can have so many digits."""
        return not self.lengths or length in self.lengths


class _Region:
    """One region's automata, in libphonenumber's order of decision. Its first two are leading digits and general."""

    def __init__(self, metadata: PhoneMetadata) -> None:
        leading = metadata.leading_digits
        self.leading = DigitPattern(leading, prefix=True) if leading else None
        self.general = _Description.read(metadata.general_desc)
        self.lengths = set(self.general.lengths) if self.general else set()
        self.kinds: list[tuple[_Description, int]] = []
        for name, answer in _DECISIONS:
            described = _Description.read(getattr(metadata, name))
            if described and not (name == "mobile" and metadata.same_mobile_and_fixed_line_pattern):
                self.kinds.append((described, answer))

    def automata(self, length: int) -> list[DigitPattern | None]:
        """Leading digits, general description, each kind of number; None where no number of this length matches."""
        described = [self.general, *(kind for kind, _ in self.kinds)]
        return [self.leading, *(one.pattern if one and one.may_have(length) else None for one in described)]

    def decide(self, matches: Sequence[bool]) -> int:
        """What the region makes of a number that matches so."""
        leading, general, *kinds = matches
        if self.leading is not None and not leading:
            return NOT_ITS_OWN
        answer = UNKNOWN
        if general:
            answer = next(
                (answer for hit, (_, answer) in zip(kinds, self.kinds, strict=True) if hit), UNKNOWN
            )
        # A region without leading digits claims the numbers that it knows.
        return NOT_ITS_OWN if self.leading is None and answer == UNKNOWN else answer


class _Walk:
    """One region's answers for all national numbers of one length, by walking its automata at once."""

    def __init__(self, region: _Region, length: int) -> None:
        self._region = region
        self._automata = region.automata(length)
        self._known: dict[tuple[tuple[int, ...], int], tuple[Interval, ...]] = {}
        self.intervals = self._below(tuple(one.start if one else DEAD for one in self._automata), length)

    def _below(self, states: tuple[int, ...], remaining: int) -> tuple[Interval, ...]:
        """The intervals that `remaining` more digits lead to from these states."""
        leading, general, *_ = states
        if general == DEAD:
            # No kind of number is asked without it.
            states = leading, *([DEAD] * (len(states) - 1))
        if (leading if self._region.leading else general) == DEAD:
            return (Interval(0, NOT_ITS_OWN),)
        key = states, remaining
        if key not in self._known:
            if remaining:
                self._known[key] = tuple(merged(self._digit_by_digit(states, remaining)))
            else:
                matches = [
                    bool(one and one.accepts(state))
                    for one, state in zip(self._automata, states, strict=True)
                ]
                self._known[key] = (Interval(0, self._region.decide(matches)),)
        return self._known[key]

    def _digit_by_digit(self, states: tuple[int, ...], remaining: int) -> Iterator[Interval]:
        for digit in range(10):
            onward = tuple(
                one.step(state, str(digit)) if one and state else DEAD
                for one, state in zip(self._automata, states, strict=True)
            )
            first = digit * 10 ** (remaining - 1)
            for inner in self._below(onward, remaining - 1):
                yield Interval(first + inner.first, inner.answer)


def _answers_of(regions: Sequence[_Region], length: int) -> list[Interval]:
    """What the first region that a number belongs to makes of it."""
    answers = [Interval(0, NOT_ITS_OWN)]
    for region in regions:
        own = _Walk(region, length).intervals
        cuts = sorted({one.first for one in answers} | {one.first for one in own})
        ahead = (_answer_at(answers, cut) for cut in cuts)
        answers = list(
            merged(
                Interval(cut, _answer_at(own, cut) if answer == NOT_ITS_OWN else answer)
                for cut, answer in zip(cuts, ahead, strict=True)
            )
        )
    return list(
        merged(Interval(one.first, UNKNOWN if one.answer == NOT_ITS_OWN else one.answer) for one in answers)
    )


def merged(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Neighbours of one answer made one interval."""
    last: int | None = None
    for interval in intervals:
        if interval.answer != last:
            yield interval
            last = interval.answer


def overlaid(intervals: Sequence[Interval], first: int, end: int, answer: int) -> list[Interval]:
    """`intervals` with all numbers from `first` to just before `end` given another answer."""
    before = [one for one in intervals if one.first < first]
    after = [one for one in intervals if one.first > end]
    resumed = [one for one in intervals if one.first <= end][-1].answer
    return list(merged([*before, Interval(first, answer), Interval(end, resumed), *after]))


def _regions_of(calling_code: int) -> list[_Region]:
    regions = []
    for name in COUNTRY_CODE_TO_REGION_CODE[calling_code]:
        if name == NON_GEOGRAPHIC:
            metadata = PhoneMetadata.metadata_for_nongeo_region(calling_code)
        else:
            metadata = PhoneMetadata.metadata_for_region(name)
        if metadata is not None:
            regions.append(_Region(metadata))
    return regions


def _findings_of(calling_code: int) -> dict[int, list[Interval]]:
    """By length of the national number: intervals of national numbers with their place in RECIPIENT_FINDINGS."""
    regions = _regions_of(calling_code)
    lengths = set().union(*(region.lengths for region in regions))
    if calling_code == SINGAPORE:
        lengths = {SINGAPORE_LENGTH}
    findings: dict[int, list[Interval]] = {}
    shorter: Sequence[Interval] = ()
    for length in range(MAX_DIGITS - len(str(calling_code)) + 1):
        answers = _answers_of(regions, length)
        wrong = _place_of(_wrong_length(length, lengths))
        findings[length] = list(merged(_with_findings(answers, shorter, length, wrong, calling_code)))
        shorter = answers
    return findings


def _wrong_length(length: int, lengths: set[int]) -> FindingCode:
    if length < min(lengths):
        return FindingCode.RECIPIENT_TOO_SHORT
    if length > max(lengths):
        return FindingCode.RECIPIENT_TOO_LONG
    return FindingCode.RECIPIENT_INVALID_NUMBER


def _with_findings(
    answers: Sequence[Interval], shorter: Sequence[Interval], length: int, wrong: int, calling_code: int
) -> Iterator[Interval]:
    """Findings for answers; of numbers that begin with 0 (the lowest tenth), what holds without it counts too."""
    singapore = calling_code == SINGAPORE
    trunk_zero = _place_of(FindingCode.RECIPIENT_TRUNK_ZERO)
    not_mobile = _place_of(FindingCode.RECIPIENT_NOT_MOBILE)
    zero_end = 10 ** (length - 1) if length else 0
    cuts = {one.first for one in answers} | {one.first for one in shorter} | {0, zero_end}
    for first in sorted(cuts):
        answer = _answer_at(answers, first)
        if answer == REACHABLE and not singapore:
            yield Interval(first, FINE)
        elif answer != UNKNOWN:
            yield Interval(first, not_mobile)
        elif first < zero_end and (singapore or _answer_at(shorter, first) != UNKNOWN):
            yield Interval(first, trunk_zero)
        else:
            yield Interval(first, wrong)


def _answer_at(intervals: Sequence[Interval], number: int) -> int:
    return intervals[bisect_right(intervals, number, key=lambda one: one.first) - 1].answer


def compile_table() -> npt.NDArray[np.int64]:
    """The whole table: for each interval its first number, shifted left by CODE_BITS, and its finding's place."""
    by_code = {calling_code: _findings_of(calling_code) for calling_code in COUNTRY_CODE_TO_REGION_CODE}
    unknown = _place_of(FindingCode.RECIPIENT_UNKNOWN_COUNTRY)
    table = [Interval(0, _place_of(FindingCode.RECIPIENT_LEADING_ZERO))]
    for digits in range(1, MAX_DIGITS + 1):
        ends = 10 ** (digits - 1)
        for calling_code in sorted(by_code, key=str):
            length = digits - len(str(calling_code))
            if length < 0:
                continue
            base = calling_code * 10**length
            if base > ends:
                table.append(Interval(ends, unknown))
            table.extend(Interval(base + one.first, one.answer) for one in by_code[calling_code][length])
            ends = base + 10**length
        if ends < 10**digits:
            table.append(Interval(ends, unknown))
    # What is decided before libphonenumber is asked.
    table = overlaid(table, 80000000, 100000000, _place_of(FindingCode.RECIPIENT_NO_COUNTRY_CODE))
    table = overlaid(table, 6580000000, 6600000000, FINE)
    for number in SIMULATOR_NUMBERS:
        table = overlaid(table, number, number + 1, _place_of(FindingCode.RECIPIENT_SIMULATOR_NUMBER))
    return np.array([one.first << CODE_BITS | one.answer for one in merged(table)], np.int64)


def main() -> None:
    """Writes table and version into the package."""
    table = compile_table()
    with TABLE_PATH.open("wb") as stream:
        np.save(stream, table.astype("<i8"))
    about = {
        "phonenumbers": phonenumbers.__version__,
        "intervals": len(table),
        "findings": [code and code.value for code in RECIPIENT_FINDINGS],
    }
    TABLE_ABOUT_PATH.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
