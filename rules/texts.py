"""What people are told of each finding code: one table, for reports, e-mails, refusals and the agency guide.

`text` is for a person with a spreadsheet: what is wrong, where, and the cure. Its facts stand in braces. No text begins
with a character that a spreadsheet takes for a formula, and none of them tells a value that `quote` has not cut.
`meaning` and `cure` are the code's row in the guide's table of reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from config.sizes import MAX_UPLOAD_BYTES, size_text
from rules.characters.code_points import INVISIBLE
from rules.codes import FindingCode

QUOTED_CHARACTERS: Final = 40
NAMED_AT_MOST: Final = 20

_LARGEST: Final = size_text(MAX_UPLOAD_BYTES)

# What is said of a recipient that is no number, after it, where nothing better is known.
NO_NUMBER: Final = " is not a number: give the mobile number with its country code, digits only"

# Of a file whose header row stands below others, and of a row that has nothing to read.
HEADER_BELOW: Final = (
    "the header is row {row}: delete the rows above it, the first row must hold the columns' names"
)
ONLY_CONTROLS: Final = (
    "the row is only control characters or others that can't be seen, such as some programs write at the end of a file: "
    "delete the row"
)

_ENOUGH = "Give the whole number with its country code, digits only, such as 6591234567."


@dataclass(frozen=True, slots=True)
class Reason:
    """One code's words. `file_text` and `value_text` are there where a whole file, or one value, is told in other words."""

    text: str
    meaning: str
    cure: str
    file_text: str | None = None
    value_text: str | None = None


REASONS: Final[Mapping[FindingCode, Reason]] = MappingProxyType(
    {
        FindingCode.FILE_EMPTY: Reason(
            "the file is empty: it must have a header row and at least one row below it",
            "The file has no content.",
            "Check the program that makes the file, and send it again with a header row and at least one row.",
        ),
        FindingCode.NO_ROWS: Reason(
            "the file has a header row but no rows below it: add at least one recipient",
            "Below the header row there is no row.",
            "Add at least one row.",
        ),
        FindingCode.FILE_TOO_LARGE: Reason(
            "the file is not smaller than {limit}: split it into several files, each with the header row",
            f"The file is {_LARGEST} or larger.",
            "Split it into several files, each with the header row.",
        ),
        FindingCode.FILE_NOT_CSV: Reason(
            "only .csv files are accepted: save the spreadsheet as CSV UTF-8, under a name that ends in .csv",
            "The file's name doesn't end in .csv, or the upload was never renamed to such a name.",
            "Save the spreadsheet as CSV UTF-8, and upload it under a name that ends in .csv.",
        ),
        FindingCode.UPLOAD_INTERRUPTED: Reason(
            "the upload seems to have been cut off after {received} bytes: upload the file again, or resume it{way_out}",
            "What arrived looks like the beginning of a longer file.",
            "Upload the file again, or resume it. A file that really is whole passes with one empty line added at its "
            "end, or when it is released by Postman's support.",
        ),
        FindingCode.LINES_QUOTED: Reason(
            "each line stands in quotation marks as a whole, which makes it one column: remove the quotation mark at the "
            "beginning and at the end of each line, or have the program put them around single values only",
            "Each line begins and ends with a quotation mark, so that its commas separate nothing.",
            "Remove the quotation mark at the beginning and at the end of each line.",
        ),
        FindingCode.DELIMITER_INVALID: Reason(
            "the columns are separated by {delimiter}: save the file as CSV with commas between the columns",
            "The columns are separated by semicolons, tabs, vertical bars or another mark that is no comma.",
            "Save the file as CSV with commas between the columns.",
        ),
        FindingCode.HEADER_MISSING_COLUMN: Reason(
            "the column {column} is missing{hint}: add it to the header row",
            "The header row lacks a column: `recipient`, `language`, or a parameter of the campaign's template. Or other rows, "
            "such as a title, stand above it.",
            "Add the column, written exactly so, in lower case. Delete the rows above the header row.",
        ),
        FindingCode.HEADER_UNKNOWN_COLUMN: Reason(
            "the column {column} is not one of this campaign's{hint}",
            "The header row has a column that the campaign's template doesn't know.",
            "Correct the name, or delete the column. The first row must hold the columns' names, at most 200.",
            "the header row has {count} columns, this campaign has {expected}: delete the others",
        ),
        FindingCode.HEADER_DUPLICATE_COLUMN: Reason(
            "the column {column} is there {count} times: keep one",
            "Two columns have the same name.",
            "Delete or rename all but one.",
        ),
        FindingCode.TOO_MANY_ROWS: Reason(
            "the file has more than {limit} rows: split it into several files, each with the header row",
            "The file has more rows than allowed: 20 in the test environment.",
            "Split it into several files, each with the header row.",
        ),
        FindingCode.ENCODING_INVALID: Reason(
            "the row has characters that are not UTF-8: save the original file as CSV UTF-8, or type them again",
            "The file, or the row, is not text in UTF-8: a report shows such characters as a question mark in a diamond. Or a "
            "program took the UTF-8 of a value for another encoding and saved what it read.",
            "Open the original file, choose Save As, then the type CSV UTF-8.",
            "the file is not text in UTF-8: save it as CSV UTF-8",
            "{column} is garbled, it seems to mean {value}: save the original file as CSV UTF-8, or type the text again",
        ),
        FindingCode.ROW_TOO_FEW_FIELDS: Reason(
            "the row has {count} of {expected} columns: check its commas, and the quotation marks around text with commas",
            "The row has fewer columns than the header row, or nothing but control characters.",
            "Give every column a value. Text that has a comma in it must stand in quotation marks.",
        ),
        FindingCode.ROW_TOO_MANY_FIELDS: Reason(
            "the row has {count} columns instead of {expected}: put text that has a comma in it in quotation marks",
            "The row has more columns than the header row.",
            "Put text that has a comma in it in quotation marks, or delete what is too much.",
        ),
        FindingCode.ROW_QUOTE_INVALID: Reason(
            "a quotation mark is not closed or not doubled: close it, and write a quotation mark within text twice",
            "A field begins with a quotation mark that is never closed, or goes on after the closing one.",
            "Close the quotation mark, and write a quotation mark within text twice.",
            "the header row has a quotation mark that is not closed or not doubled: close it or remove it",
        ),
        FindingCode.MESSAGE_TOO_LONG: Reason(
            "the message has {count} characters without its header and footer, {excess} over the limit of {limit}: "
            "shorten the values",
            "The message has more than 1,000 characters, its header and footer not counted.",
            "Shorten the row's values.",
        ),
        FindingCode.RECIPIENT_MISSING: Reason(
            "recipient is empty: give the mobile number with its country code, such as 6591234567",
            "There is no number.",
            _ENOUGH,
        ),
        FindingCode.RECIPIENT_WHITESPACE: Reason(
            "recipient {value} has spaces before or after the number: remove them",
            "There is white space before or after the number.",
            "Remove it.",
        ),
        FindingCode.RECIPIENT_SCIENTIFIC_NOTATION: Reason(
            "recipient {value}: the spreadsheet changed the number: format the column as text, and enter the number again",
            "The spreadsheet wrote the number with an exponent, and its last digits are lost.",
            "Format the column as text, and enter the number again.",
        ),
        FindingCode.RECIPIENT_DECIMAL: Reason(
            "recipient {value}: the spreadsheet added decimals: format the column as text, and remove the point or comma and "
            "what follows",
            "The spreadsheet wrote the number with a decimal point or comma.",
            "Format the column as text, and remove the point or comma and what follows it.",
        ),
        FindingCode.RECIPIENT_HAS_PLUS: Reason(
            "recipient {value} begins with +: remove the +",
            "The number begins with a plus sign.",
            "Remove the +.",
        ),
        FindingCode.RECIPIENT_HAS_SEPARATORS: Reason(
            "recipient {value} has spaces, hyphens, points, brackets or + in it: give the digits only",
            "There are spaces, hyphens, points, brackets or plus signs in the number.",
            "Give the digits only.",
        ),
        FindingCode.RECIPIENT_INVISIBLE_CHARACTER: Reason(
            "recipient {value} has {character}, which can't be seen: delete the cell and type the number again, digits only",
            "Copied from a phone or a web page, the number brought characters along that can't be seen.",
            "Delete the cell, and type the number again, digits only.",
        ),
        FindingCode.RECIPIENT_NON_ASCII_DIGITS: Reason(
            "recipient {value} has digits of another script: write the number with the digits 0 to 9",
            "The number has full-width digits or those of another script.",
            "Write the number with the digits 0 to 9.",
        ),
        FindingCode.RECIPIENT_NOT_DIGITS: Reason(
            "recipient {explanation}",
            "The cell holds something that is no number, such as a word, a formula or an error of the spreadsheet.",
            _ENOUGH,
        ),
        FindingCode.RECIPIENT_SIMULATOR_NUMBER: Reason(
            "recipient {value} is a simulator number, for the test environment only: give a real number",
            "The number is one of the test environment's simulator numbers.",
            "Give a real number.",
        ),
        FindingCode.RECIPIENT_LEADING_ZERO: Reason(
            "recipient {value} begins with 0: begin with the country code, without 0 or 00 before it",
            "The number begins with 0.",
            "Begin with the country code, without 0 or 00 before it.",
        ),
        FindingCode.RECIPIENT_TOO_LONG: Reason(
            "recipient {value} has too many digits: check the number",
            "The number has more digits than numbers of its country can have.",
            "Check the number.",
        ),
        FindingCode.RECIPIENT_NO_COUNTRY_CODE: Reason(
            "recipient {value}: country code missing: 65{value}?",
            "The number looks like a Singapore mobile number without its country code.",
            "Put 65 before it. The country code is never assumed.",
        ),
        FindingCode.RECIPIENT_UNKNOWN_COUNTRY: Reason(
            "recipient {value} begins with no country's code: check the number",
            "No country has the code that the number begins with.",
            "Check the number, and that it begins with the country code.",
        ),
        FindingCode.RECIPIENT_NOT_MOBILE: Reason(
            "recipient {value} is a number that can't get SMS: give a mobile number",
            "The number is a landline, toll-free, premium-rate or other number that SMS can't be sent to.",
            "Give a mobile number.",
        ),
        FindingCode.RECIPIENT_TRUNK_ZERO: Reason(
            "recipient {value} has a 0 after the country code: remove that 0",
            "Between country code and number stands the 0 that is only dialled within the country.",
            "Remove that 0.",
        ),
        FindingCode.RECIPIENT_TOO_SHORT: Reason(
            "recipient {value} has too few digits: check the number",
            "The number has fewer digits than numbers of its country can have.",
            "Check the number, and that it begins with the country code.",
        ),
        FindingCode.RECIPIENT_INVALID_NUMBER: Reason(
            "recipient {value} is no number that exists in its country: check the number",
            "No such number has been given out in its country.",
            "Check the number.",
        ),
        FindingCode.LANGUAGE_MISSING: Reason(
            "language is empty: write {languages}",
            "There is no language.",
            "Write one of the campaign's languages.",
        ),
        FindingCode.LANGUAGE_UNKNOWN: Reason(
            "language {value} is not known{hint}: write {languages}",
            "The language is none of english, chinese, malay and tamil.",
            "Write one of the campaign's languages, without spaces around it.",
        ),
        FindingCode.LANGUAGE_UNAVAILABLE: Reason(
            "language {value} is not in this campaign's template: write {languages}",
            "The campaign's template has no text in this language.",
            "Write one of the campaign's languages, or use a campaign that has this one.",
        ),
        FindingCode.VALUE_MISSING: Reason(
            "{column} is empty{hint}: give it a value",
            "A parameter has no value, or only white space and characters that can't be seen.",
            "Give it a value.",
        ),
        FindingCode.VALUE_WHITESPACE: Reason(
            "{column} has spaces or line breaks at its beginning or end: remove them",
            "There is white space before or after the value.",
            "Remove it. Line breaks and no-break spaces count too.",
        ),
        FindingCode.VALUE_CONTROL_CHARACTER: Reason(
            "{column} has the invisible control character {code_point}: remove it, or type the text again",
            "A value has an invisible control character.",
            "Remove it, or type the text again.",
        ),
        FindingCode.VALUE_SPREADSHEET_ERROR: Reason(
            "{column} is {explanation}",
            "In place of a value there is an error of the spreadsheet, or the number signs of a column too narrow.",
            "Mend the formula or type the value, or widen the column. Then save the file again.",
        ),
        FindingCode.VALUE_MARKUP: Reason(
            "{column} has {markup}, which is sent as it stands because a message is plain text: {advice}",
            "A value has HTML, or the `_x000D_` of a spreadsheet, which a phone would show as it stands.",
            "Write the character that the report names, or remove the markup.",
        ),
        FindingCode.VALUE_UNSUPPORTED_CHARACTERS: Reason(
            "{column} has the unsupported character {character}, {advice}",
            "A value of an English message has a character that would make the message much dearer.",
            "Use the replacement that the report names.",
        ),
    }
)

# Facts that a caller need not give.
_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hint": "",
        "limit": _LARGEST,
        "way_out": (
            ". A file that really is whole passes with one empty line added at its end, or when it is released by "
            "Postman's support"
        ),
    }
)


def text_of(code: FindingCode, *, whole_file: bool = False, of_value: bool = False) -> str:
    """A code's text with its facts still in braces."""
    reason = REASONS[code]
    if of_value and reason.value_text:
        return reason.value_text
    return reason.file_text if whole_file and reason.file_text else reason.text


def row_reason(code: FindingCode, **facts: str | int) -> str:
    """What is wrong with a row. Numbers get thousands' commas."""
    return _fill(text_of(code), facts)


def cell_reason(code: FindingCode, **facts: str | int) -> str:
    """What is wrong with a cell, or with the message that its row makes."""
    return _fill(text_of(code, of_value=True), facts)


def file_reason(code: FindingCode, **facts: str | int) -> str:
    """What is wrong with a file: facts are `received` for upload_interrupted, and `limit` for file_too_large.

    The limit may be left out. So may `way_out` for upload_interrupted, which is empty where nothing was kept to be released.
    """
    return _fill(text_of(code, whole_file=True), facts)


def _fill(text: str, facts: Mapping[str, str | int]) -> str:
    words = {name: f"{fact:,}" if isinstance(fact, int) else fact for name, fact in facts.items()}
    return text.format_map({**_DEFAULTS, **words})


def quote(value: str) -> str:
    """A sender's text as it may stand in a reason: invisible characters escaped, at most 40 characters of it."""
    cut = value[:QUOTED_CHARACTERS]
    shown = cut if cut.isascii() and cut.isprintable() else "".join(map(_shown, cut))
    return f"{shown}…" if len(value) > QUOTED_CHARACTERS else shown


def _shown(character: str) -> str:
    if character.isprintable() and character not in INVISIBLE:
        return character
    return character.encode("unicode_escape").decode("ascii")


def join_reasons(texts: list[str]) -> str:
    """The reasons of a file in one line, the first twenty named."""
    named = "; ".join(texts[:NAMED_AT_MOST])
    left = len(texts) - NAMED_AT_MOST
    return f"{named}; and {left:,} more" if left > 0 else named


def join_names(names: list[str]) -> str:
    """`a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
