"""Recipients: the documents' vectors, the ten steps, and the compiled table against libphonenumber itself."""

import json
import random
import re
from typing import Any

import numpy as np
import phonenumbers
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumber, PhoneNumberType

from config.environment import Environment
from rules.codes import FindingCode
from rules.columns.recipients import EXPLAINED, check_recipients
from rules.recipients import (
    CODE_BITS,
    RECIPIENT_FINDINGS,
    SIMULATOR_NUMBERS,
    TABLE_ABOUT_PATH,
    TABLE_PATH,
    check_recipient,
    compiled_table,
    explain_not_digits,
)
from rules.texts import NO_NUMBER, quote
from tests.rules.vectors import PHONES
from tools.compile_recipients import compile_table

FINE_IN_VECTORS = {"ok", "ok_simulator"}
REACHABLE = {
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.VOIP,
}


def national(calling_code: int, digits: str) -> PhoneNumber:
    """A number of exactly these national digits, nothing parsed or stripped."""
    zeros = len(digits) - len(digits.lstrip("0"))
    if zeros == len(digits):
        zeros -= 1
    return PhoneNumber(
        country_code=calling_code,
        national_number=int(digits),
        italian_leading_zero=zeros > 0 or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def type_by_library(calling_code: int, digits: str) -> int:
    if not digits:
        return PhoneNumberType.UNKNOWN
    number = national(calling_code, digits)
    assert phonenumbers.national_significant_number(number) == digits
    return phonenumbers.number_type(number)


def possible_lengths(calling_code: int) -> set[int]:
    lengths: set[int] = set()
    for region in COUNTRY_CODE_TO_REGION_CODE[calling_code]:
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(calling_code)
            if region == "001"
            else PhoneMetadata.metadata_for_region(region)
        )
        assert metadata is not None
        assert metadata.general_desc is not None
        lengths.update(metadata.general_desc.possible_length)
    return lengths


def check_by_library(text: str) -> FindingCode | None:
    """Steps 3 to 10 for ASCII digits in production, asking the library number by number."""
    if text in {str(number) for number in SIMULATOR_NUMBERS}:
        return FindingCode.RECIPIENT_SIMULATOR_NUMBER
    if text.startswith("0"):
        return FindingCode.RECIPIENT_LEADING_ZERO
    if len(text) == 10 and text.startswith(("658", "659")):
        return None
    if len(text) > 15:
        return FindingCode.RECIPIENT_TOO_LONG
    if len(text) == 8 and text[0] in "89":
        return FindingCode.RECIPIENT_NO_COUNTRY_CODE
    lengths = [size for size in (1, 2, 3) if int(text[:size]) in COUNTRY_CODE_TO_REGION_CODE]
    if not lengths:
        return FindingCode.RECIPIENT_UNKNOWN_COUNTRY
    calling_code, digits = int(text[: lengths[0]]), text[lengths[0] :]
    kind = type_by_library(calling_code, digits)
    if kind in REACHABLE and calling_code != 65:
        return None
    if kind != PhoneNumberType.UNKNOWN:
        return FindingCode.RECIPIENT_NOT_MOBILE
    possible = {8} if calling_code == 65 else possible_lengths(calling_code)
    if digits.startswith("0") and (
        calling_code == 65 or type_by_library(calling_code, digits[1:]) != PhoneNumberType.UNKNOWN
    ):
        return FindingCode.RECIPIENT_TRUNK_ZERO
    if len(digits) < min(possible):
        return FindingCode.RECIPIENT_TOO_SHORT
    if len(digits) > max(possible):
        return FindingCode.RECIPIENT_TOO_LONG
    return FindingCode.RECIPIENT_INVALID_NUMBER


def disagreements(numbers: list[str]) -> list[tuple[str, FindingCode | None, FindingCode | None]]:
    phonenumbers.re_util.enable_pattern_cache()
    found = check_recipients(pl.Series(numbers, dtype=pl.String), Environment.PRODUCTION)
    wanted = map(check_by_library, numbers)
    return [
        (number, RECIPIENT_FINDINGS[place], want)
        for number, place, want in zip(numbers, found.tolist(), wanted, strict=True)
        if RECIPIENT_FINDINGS[place] != want
    ]


@pytest.mark.parametrize("vector", PHONES, ids=lambda vector: f"{vector['recipient']!r}-{vector['env']}")
def test_each_documented_vector_gets_its_code(vector: dict[str, Any]) -> None:
    wanted = None if vector["reason_code"] in FINE_IN_VECTORS else vector["reason_code"]
    environment = Environment(vector["env"])
    assert check_recipient(vector["recipient"], environment) == wanted
    found = check_recipients(pl.Series([vector["recipient"]]), environment)
    assert RECIPIENT_FINDINGS[found[0]] == wanted


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", FindingCode.RECIPIENT_MISSING),
        (" \u3000\n", FindingCode.RECIPIENT_MISSING),
        ("6591234567\n", FindingCode.RECIPIENT_WHITESPACE),
        ("\u20286591234567", FindingCode.RECIPIENT_WHITESPACE),
        (" 0", FindingCode.RECIPIENT_WHITESPACE),
        (" +6591234567", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("6.59E+09 ", FindingCode.RECIPIENT_NOT_DIGITS),
        ("6.59E-09", FindingCode.RECIPIENT_NOT_DIGITS),
        (".59E+09", FindingCode.RECIPIENT_NOT_DIGITS),
        ("6591234567.5", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("6591234567..", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("-6591234567", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("++65", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("65\u00a091234567", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("65\n91234567", FindingCode.RECIPIENT_HAS_SEPARATORS),
        ("+", FindingCode.RECIPIENT_NOT_DIGITS),
        ("(-)", FindingCode.RECIPIENT_NOT_DIGITS),
        ("6591234567²", FindingCode.RECIPIENT_NOT_DIGITS),
        ("x６", FindingCode.RECIPIENT_NON_ASCII_DIGITS),
        ("65_91", FindingCode.RECIPIENT_NOT_DIGITS),
        ("65\u200b91234567", FindingCode.RECIPIENT_INVISIBLE_CHARACTER),
        ("\u202a+6591234567\u202c", FindingCode.RECIPIENT_INVISIBLE_CHARACTER),
        ("\ufeff65\ufe0f91\u3164", FindingCode.RECIPIENT_INVISIBLE_CHARACTER),
        ("\u200b", FindingCode.RECIPIENT_NOT_DIGITS),
        ("\u202a65 91234567\u202c", FindingCode.RECIPIENT_NOT_DIGITS),
        ("6,59E+09", FindingCode.RECIPIENT_SCIENTIFIC_NOTATION),
        ("6591234567,00", FindingCode.RECIPIENT_DECIMAL),
        ("6591234567,6597654321", FindingCode.RECIPIENT_NOT_DIGITS),
        ('="6,59E+09"', FindingCode.RECIPIENT_SCIENTIFIC_NOTATION),
        ('="+6591234567"', FindingCode.RECIPIENT_HAS_PLUS),
        ('="6591234567"', FindingCode.RECIPIENT_NOT_DIGITS),
        ('="６５91234567"', FindingCode.RECIPIENT_NON_ASCII_DIGITS),
        ('="="6591234567 ""', FindingCode.RECIPIENT_NOT_DIGITS),
        ('=""', FindingCode.RECIPIENT_MISSING),
        ("#N/A", FindingCode.RECIPIENT_NOT_DIGITS),
        ("0" * 40, FindingCode.RECIPIENT_LEADING_ZERO),
        ("06511111111", FindingCode.RECIPIENT_LEADING_ZERO),
        ("1" * 16, FindingCode.RECIPIENT_TOO_LONG),
        ("9" * 19, FindingCode.RECIPIENT_TOO_LONG),
        ("9" * 400, FindingCode.RECIPIENT_TOO_LONG),
        ("9223372036854775807", FindingCode.RECIPIENT_TOO_LONG),
        ("2", FindingCode.RECIPIENT_UNKNOWN_COUNTRY),
        ("65", FindingCode.RECIPIENT_TOO_SHORT),
        ("650", FindingCode.RECIPIENT_TRUNK_ZERO),
        ("6580000000", None),
        ("6579999999", FindingCode.RECIPIENT_INVALID_NUMBER),
        ("6600000000", FindingCode.RECIPIENT_INVALID_NUMBER),
    ],
    ids=repr,
)
def test_the_first_step_that_applies_gives_the_code(text: str, code: FindingCode | None) -> None:
    assert check_recipient(text, Environment.PRODUCTION) == code
    assert RECIPIENT_FINDINGS[check_recipients(pl.Series([text]), Environment.PRODUCTION)[0]] == code


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abc", "abc is not a number: give the mobile number with its country code"),
        ("#N/A", "is #N/A, an error of the spreadsheet: mend the formula or type the value"),
        ("#####", "is #####, which a spreadsheet shows in a column too narrow: widen the column"),
        ('="6591234567"', '="6591234567" has =" before and " after the number: remove them'),
        ("'6591234567", "'6591234567 has an apostrophe before the number: remove it"),
        (
            "\u202a65 91234567\u202c",
            "\\u202a65 91234567\\u202c has U+202A (left-to-right embedding), which can't be seen",
        ),
        ("6591234567,6597654321", "6591234567,6597654321 has a comma in it: give one number in a row"),
        (" #N/A", "is #N/A, an error of the spreadsheet: mend the formula or type the value"),
        ("6591234567\x1a", "6591234567\\x1a has U+001A, which can't be seen: delete the cell"),
        ("6591234567\0", "6591234567\\x00 has U+0000, which can't be seen: delete the cell"),
        ("65‑9123‑4567", "65‑9123‑4567 has ‑ (U+2011) in it, which is no digit: give the digits only"),
    ],
    ids=ascii,
)
def test_a_text_that_is_no_number_is_told_what_it_is_instead(text: str, told: str) -> None:
    assert explain_not_digits(text).startswith(told)
    assert (explain_not_digits(text) == quote(text) + NO_NUMBER) == (re.search(EXPLAINED, text) is None)


@pytest.mark.parametrize("number", sorted(SIMULATOR_NUMBERS))
def test_a_simulator_number_is_fine_in_the_test_environment_only(number: int) -> None:
    text = str(number)
    assert check_recipient(text, Environment.TEST) is None
    assert check_recipient(text, Environment.PRODUCTION) == FindingCode.RECIPIENT_SIMULATOR_NUMBER
    assert check_recipients(pl.Series([text]), Environment.TEST).tolist() == [0]


def test_the_committed_table_is_that_of_the_installed_metadata() -> None:
    about = json.loads(TABLE_ABOUT_PATH.read_text(encoding="utf-8"))
    assert about["phonenumbers"] == phonenumbers.__version__, "run python -m tools.compile_recipients"
    assert about["findings"] == list(RECIPIENT_FINDINGS)
    committed = np.load(TABLE_PATH, allow_pickle=False)
    assert about["intervals"] == len(committed)
    assert compiled_table().tolist() == committed.tolist()
    assert np.array_equal(committed, compile_table()), "run python -m tools.compile_recipients"


def test_every_interval_agrees_with_the_library_at_its_edges() -> None:
    """Each interval's first number, the one before and the one after it."""
    firsts = np.load(TABLE_PATH, allow_pickle=False) >> CODE_BITS
    edges = np.unique(np.concatenate([firsts, firsts - 1, firsts + 1]))
    edges = edges[(edges >= 1) & (edges < 10**15)]
    assert disagreements(list(map(str, edges.tolist()))) == []


def test_random_numbers_of_every_calling_code_agree_with_the_library() -> None:
    source = random.Random(4)
    numbers = [
        str(calling_code) + "".join(source.choices("0123456789", k=length))
        for calling_code in COUNTRY_CODE_TO_REGION_CODE
        for length in source.choices(range(16 - len(str(calling_code))), k=30)
    ]
    assert disagreements(numbers) == []


AWKWARD = st.text(st.sampled_from("0123456789０௬²+-.eE() \t\n\x1c\x85\u00a0\u200b\ufeffx"), max_size=12)


@given(
    st.lists(AWKWARD | st.from_regex(r"[1-9][0-9]{0,20}", fullmatch=True), max_size=20),
    st.sampled_from(Environment),
)
def test_a_column_says_what_each_cell_alone_says(texts: list[str], environment: Environment) -> None:
    found = check_recipients(pl.Series(texts, dtype=pl.String), environment)
    assert [RECIPIENT_FINDINGS[place] for place in found] == [
        check_recipient(text, environment) for text in texts
    ]
