"""One bad file for each reason, judged by the real rules: what the table of reasons shows can't be wrong."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from config.environment import Environment
from config.sizes import MAX_UPLOAD_BYTES, size_text
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules
from rules.codes import FindingCode
from rules.templates import Language, Template
from rules.texts import file_reason

_HEADER: Final = "recipient,language,name,date"
_GOOD: Final = "6591234567,english,Emily Yeo,1 May"
TEMPLATE: Final = Template(
    "Clinic",
    {
        Language.ENGLISH: "Dear {{name}}, see you on {{date}}.",
        Language.MALAY: "{{name}}, jumpa pada {{date}}.",
    },
)


@dataclass(frozen=True, slots=True)
class Example:
    """A finding as a sender would see it (`shown`, in words or as code), and what the report or the e-mail says of it."""

    shown: str
    text: str


@dataclass(frozen=True, slots=True)
class _BadFile:
    """A file with one finding. `shown` is how the table shows what is wrong."""

    shown: str
    rows: str
    header: str = _HEADER
    encoding: str = "utf-8"
    environment: Environment = Environment.PRODUCTION


def _code_of(cell: str) -> str:
    """A cell as Markdown shows it: what is invisible made visible."""
    if not cell:
        return "an empty cell"
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cell)
    return f"`{shown}`" if shown == shown.strip() else f"`{shown.rstrip()}␣`"


# What stands in a row's cell, by code.
_RECIPIENTS: Final = {
    FindingCode.RECIPIENT_MISSING: "",
    FindingCode.RECIPIENT_WHITESPACE: "6591234567 ",
    FindingCode.RECIPIENT_SCIENTIFIC_NOTATION: "6.59E+09",
    FindingCode.RECIPIENT_DECIMAL: "6591234567.0",
    FindingCode.RECIPIENT_HAS_PLUS: "+6591234567",
    FindingCode.RECIPIENT_HAS_SEPARATORS: "65 9123-4567",
    FindingCode.RECIPIENT_INVISIBLE_CHARACTER: "\u202a+6591234567\u202c",
    FindingCode.RECIPIENT_NON_ASCII_DIGITS: "６５９１２３４５６７",
    FindingCode.RECIPIENT_NOT_DIGITS: "n/a",
    FindingCode.RECIPIENT_SIMULATOR_NUMBER: "6511111111",
    FindingCode.RECIPIENT_LEADING_ZERO: "006591234567",
    FindingCode.RECIPIENT_TOO_LONG: "65912345678",
    FindingCode.RECIPIENT_NO_COUNTRY_CODE: "91234567",
    FindingCode.RECIPIENT_UNKNOWN_COUNTRY: "99912345678",
    FindingCode.RECIPIENT_NOT_MOBILE: "6561234567",
    FindingCode.RECIPIENT_TRUNK_ZERO: "4407911123456",
    FindingCode.RECIPIENT_TOO_SHORT: "659123456",
    FindingCode.RECIPIENT_INVALID_NUMBER: "6521234567",
}
_LANGUAGES: Final = {
    FindingCode.LANGUAGE_MISSING: "",
    FindingCode.LANGUAGE_UNKNOWN: "englsh",
    FindingCode.LANGUAGE_UNAVAILABLE: "tamil",
}
_VALUES: Final = {
    FindingCode.VALUE_MISSING: "",
    FindingCode.VALUE_WHITESPACE: "Emily Yeo ",
    FindingCode.VALUE_CONTROL_CHARACTER: "Emily\x07Yeo",
    FindingCode.VALUE_SPREADSHEET_ERROR: "#N/A",
    FindingCode.VALUE_MARKUP: "Yeo &amp; Sons",
    FindingCode.VALUE_UNSUPPORTED_CHARACTERS: "Emily “Em” Yeo",
}
_ROWS: Final = {
    FindingCode.ROW_TOO_FEW_FIELDS: "6591234567,english,Emily Yeo",
    FindingCode.ROW_TOO_MANY_FIELDS: "6591234567,english,Yeo, Emily,1 May",
    FindingCode.ROW_QUOTE_INVALID: '6591234567,english,"Emily Yeo,1 May',
}
_HEADERS: Final = {
    FindingCode.LINES_QUOTED: '"recipient,language,name,date"',
    FindingCode.DELIMITER_INVALID: "recipient;language;name;date",
    FindingCode.HEADER_MISSING_COLUMN: "recipient,language,name",
    FindingCode.HEADER_UNKNOWN_COLUMN: "recipient,language,name,date,remarks",
    FindingCode.HEADER_DUPLICATE_COLUMN: "recipient,language,name,name,date",
}
_BAD_FILES: Final[Mapping[FindingCode, _BadFile]] = {
    **{
        code: _BadFile(_code_of(cell), f"{cell},english,Emily Yeo,1 May")
        for code, cell in _RECIPIENTS.items()
    },
    **{
        code: _BadFile(_code_of(cell), f"6591234567,{cell},Emily Yeo,1 May")
        for code, cell in _LANGUAGES.items()
    },
    **{code: _BadFile(_code_of(cell), f"6591234567,english,{cell},1 May") for code, cell in _VALUES.items()},
    **{code: _BadFile(_code_of(row), row) for code, row in _ROWS.items()},
    **{code: _BadFile(_code_of(header), _GOOD, header) for code, header in _HEADERS.items()},
    FindingCode.FILE_EMPTY: _BadFile("a file without a byte", "", header=""),
    FindingCode.NO_ROWS: _BadFile("the header row alone", ""),
    FindingCode.TOO_MANY_ROWS: _BadFile(
        "21 rows, in the test environment", "\n".join([_GOOD] * 21), environment=Environment.TEST
    ),
    FindingCode.MESSAGE_TOO_LONG: _BadFile("a value of 990 letters", f"6591234567,english,{'x' * 990},1 May"),
    FindingCode.ENCODING_INVALID: _BadFile(
        "`Café` saved in Windows' own encoding", "6591234567,english,Café,1 May", encoding="cp1252"
    ),
}
# What is refused before a row is read: how it is shown, and the facts of its text.
_NEVER_READ: Final[Mapping[FindingCode, tuple[str, dict[str, int]]]] = {
    FindingCode.FILE_TOO_LARGE: (f"a file of {size_text(MAX_UPLOAD_BYTES)}", {}),
    FindingCode.FILE_NOT_CSV: ("`appointments.xlsx`", {}),
    FindingCode.UPLOAD_INTERRUPTED: ("Ctrl-C in the middle of a `put`", {"received": 261_120}),
}


def example_of(code: FindingCode) -> Example:
    """The example of one reason. Raises LookupError where the rules don't find that reason in it."""
    if code in _NEVER_READ:
        shown, facts = _NEVER_READ[code]
        return Example(shown, file_reason(code, **facts))
    bad = _BAD_FILES[code]
    return Example(bad.shown, _judge(code, bad))


def _judge(code: FindingCode, bad: _BadFile) -> str:
    """The text of the first finding with that code. Raises LookupError where there is none."""
    content = f"{bad.header}\n{bad.rows}\n" if bad.header else bad.rows
    texts: list[str] = []
    judge(
        io.BytesIO(content.encode(bad.encoding)),
        Rules(TEMPLATE, bad.environment),
        messages=None,
        report=None,
        findings=lambda finding: texts.append(finding.text) if finding.code is code else None,
    )
    if not texts:
        raise LookupError(f"the example of {code} has another finding, or none")
    return texts[0]
