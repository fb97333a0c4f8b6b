"""The table of CSV verdicts (4-sms-content.md §6) and the codes of 2-gateway.md §3, as files and what is found in them."""

from dataclasses import dataclass, replace

from config.environment import Environment
from processing.rules.codes import FindingCode as Code
from processing.verdict import Rules
from tests.processing.builders import (
    FOOTERS,
    GOOD_ROW,
    GUIDE_TEMPLATE,
    HEADER,
    csv_bytes,
    guide_csv,
    quoted_csv,
)

RULES = Rules(template=GUIDE_TEMPLATE, environment=Environment.PRODUCTION, footers=FOOTERS)
TEST_RULES = Rules(template=GUIDE_TEMPLATE, environment=Environment.TEST, footers=FOOTERS)
Expected = list[tuple[int | None, str | None, Code]]


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    data: bytes
    expected: Expected
    rules: Rules = RULES


def accepted(name: str, data: bytes, rules: Rules = RULES) -> Case:
    return Case(name, data, [], rules)


def refused(name: str, data: bytes, *codes: Code, rules: Rules = RULES) -> Case:
    """For a fault of the file."""
    return Case(name, data, [(None, None, code) for code in codes], rules)


def faulty(name: str, data: bytes, *findings: tuple[int, str | None, Code], rules: Rules = RULES) -> Case:
    return Case(name, data, list(findings), rules)


def cells(
    recipient: str = "6591234567", language: str = "english", name: str = "Amy", topic: str = "tax"
) -> bytes:
    """A file of one row with these cells, quoted where needed."""
    return quoted_csv([HEADER.split(","), [recipient, language, name, topic]])


def at_most(first_size_refused: int = 10**6, *, records: int = 1000) -> Rules:
    """The rules with other limits: the real ones are too large for a table."""
    return replace(RULES, max_bytes=first_size_refused, max_records=records)


TWO = (HEADER, GOOD_ROW, "6599999998,chinese,James Tan,passport application #67890A")
BAD = "+6591234567,english,Amy,tax"

ACCEPTED = [
    accepted("as many bytes as are allowed", guide_csv(GOOD_ROW), at_most(len(guide_csv(GOOD_ROW)) + 1)),
    accepted("as many records as are allowed", guide_csv(GOOD_ROW, "", GOOD_ROW), at_most(records=4)),
    accepted("the guide's example", csv_bytes(*TWO)),
    accepted("LF", csv_bytes(*TWO, end="\n")),
    accepted("CRLF", csv_bytes(*TWO, end="\r\n")),
    accepted("CR only", csv_bytes(*TWO, end="\r")),
    accepted("mixed line ends", f"{HEADER}\r\n{GOOD_ROW}\r{GOOD_ROW}\n{GOOD_ROW}\r\n".encode()),
    accepted("no final line end", csv_bytes(*TWO)[:-1]),
    accepted("CRCRLF", csv_bytes(*TWO, end="\r\r\n")),
    accepted("BOM", csv_bytes(*TWO, bom=True)),
    accepted(
        "BOM and quoted header",
        csv_bytes('"recipient","language","recipient_name","topic"', GOOD_ROW, bom=True),
    ),
    accepted("line break inside quotes", guide_csv('6591234567,english,"Emily\r\nYeo","a\nb\rc"')),
    accepted("comma inside quotes", guide_csv('6591234567,english,"Yeo, Emily",tax')),
    accepted("doubled quotes", guide_csv('6591234567,english,"Emily ""Em"" Yeo",tax')),
    accepted("a value that is one quotation mark", guide_csv('6591234567,english,"""",tax')),
    accepted("a quote inside an unquoted field", guide_csv('6591234567,english,Amy,5" pipe')),
    accepted("every field quoted", quoted_csv([line.split(",") for line in TWO], every_field=True)),
    accepted("empty extra fields", guide_csv(GOOD_ROW + ",,")),
    accepted("quoted empty extra fields", guide_csv(GOOD_ROW + ',"",""')),
    accepted("Excel's trailing rows", guide_csv(GOOD_ROW, ",,,", ",,,")),
    accepted("a row of quoted empty fields", guide_csv(GOOD_ROW, '"","","",""')),
    accepted("more empty fields than columns", guide_csv(GOOD_ROW, ",,,,,,,,")),
    accepted("blank lines", guide_csv(GOOD_ROW, "", GOOD_ROW, "", "")),
    accepted("lines of spaces", guide_csv(GOOD_ROW, "   ", " ", GOOD_ROW)),
    accepted("blank lines before the header", b"\n\r\n  \n,,\n" + csv_bytes(*TWO)),
    accepted("trailing empty columns", csv_bytes(HEADER + ",,", GOOD_ROW + ",,", GOOD_ROW + ",", GOOD_ROW)),
    accepted(
        "columns in another order",
        csv_bytes("topic,language,recipient_name,recipient", "tax,english,Amy,6591234567"),
    ),
    accepted(
        "names with spaces around", csv_bytes(" recipient ,language , recipient_name,topic\t", GOOD_ROW)
    ),
    accepted(
        "an old report's column", csv_bytes(HEADER + ",Error Reason", GOOD_ROW + ',"recipient: remove the +"')
    ),
    accepted("an old report's column without its cell", csv_bytes(HEADER + ",Error Reason", GOOD_ROW)),
    accepted(
        "a padded report", csv_bytes(HEADER + ",,Error Reason", GOOD_ROW + ',,""', GOOD_ROW + ',,"too many"')
    ),
    accepted(
        "a row cleared in a report",
        csv_bytes(HEADER + ",Error Reason", GOOD_ROW + ',""', ',,,,"recipient: empty"'),
    ),
    accepted(
        "a line of spaces, padded in a report",
        csv_bytes(HEADER + ",Error Reason", GOOD_ROW + ',""', '  ,,,,""'),
    ),
    accepted(
        "an old report of a fault of the file", csv_bytes(HEADER + ",Error Reason: no rows", GOOD_ROW + ",")
    ),
    accepted("U+2028 and U+0085 are no line breaks", cells(language="chinese", name="a\u2028b")),
    accepted("duplicate recipients", guide_csv(GOOD_ROW, GOOD_ROW)),
    accepted("cells that look like formulas", cells(name="=1+1", topic="@SUM(A1)")),
    accepted("cells that begin with a sign", cells(name="-1", topic="+1")),
    accepted("Excel's leading apostrophe", cells(name="'012345", topic="'tax")),
    accepted("values that a spreadsheet would take for numbers", cells(name="6.59E+09", topic="012345")),
    accepted("language in upper case", cells(language="ENGLISH")),
    accepted("language in mixed case", cells(language="Chinese")),
    accepted(
        "exactly 1,000 characters", cells(topic="a" * (1000 - len("Dear Amy, we have received your .")))
    ),
    accepted("1,000 characters with CRLF as one", cells(topic="a\r\n" * 483 + "a")),
    accepted("20 rows in the test environment", guide_csv(*[GOOD_ROW] * 20), TEST_RULES),
    accepted("blank rows don't count among the 20", guide_csv(*[GOOD_ROW, "", ",,,"] * 20), TEST_RULES),
    accepted("21 rows in production", guide_csv(*[GOOD_ROW] * 21)),
    accepted("200 columns, most of them empty", csv_bytes(HEADER + "," * 400, GOOD_ROW)),
]

OF_THE_FILE = [
    refused(
        "as many bytes as are too many",
        guide_csv(GOOD_ROW),
        Code.FILE_TOO_LARGE,
        rules=at_most(len(guide_csv(GOOD_ROW))),
    ),
    refused(
        "too large wins over empty", b"\n" * 100, Code.FILE_TOO_LARGE, rules=at_most(len(guide_csv(GOOD_ROW)))
    ),
    refused(
        "too many records",
        guide_csv(GOOD_ROW, GOOD_ROW, GOOD_ROW),
        Code.TOO_MANY_ROWS,
        rules=at_most(records=3),
    ),
    refused(
        "blank records are records", guide_csv(GOOD_ROW, "", ""), Code.TOO_MANY_ROWS, rules=at_most(records=3)
    ),
    refused("many records, no rows", guide_csv("", "", ""), Code.TOO_MANY_ROWS, rules=at_most(records=3)),
    refused(
        "faults of the header first",
        csv_bytes(HEADER + ",age", "", "", ""),
        Code.HEADER_UNKNOWN_COLUMN,
        rules=at_most(records=3),
    ),
    refused("UTF-16 with BOM", csv_bytes(*TWO).decode().encode("utf-16"), Code.ENCODING_INVALID),
    refused(
        "UTF-16 big endian", b"\xfe\xff" + csv_bytes(*TWO).decode().encode("utf-16-be"), Code.ENCODING_INVALID
    ),
    refused("UTF-16 without BOM", csv_bytes(*TWO).decode().encode("utf-16-le"), Code.ENCODING_INVALID),
    refused("a spreadsheet", b"PK\x03\x04\x14\x00\x06\x00" + bytes(100), Code.ENCODING_INVALID),
    refused("binary", bytes(range(256)), Code.ENCODING_INVALID),
    refused("empty", b"", Code.FILE_EMPTY),
    refused("only line ends", b"\r\n\n\r", Code.FILE_EMPTY),
    refused("only a BOM", b"\xef\xbb\xbf", Code.FILE_EMPTY),
    refused("only a BOM and line ends", b"\xef\xbb\xbf\n", Code.FILE_EMPTY),
    refused("header only", csv_bytes(HEADER), Code.NO_ROWS),
    refused("header without line end", HEADER.encode(), Code.NO_ROWS),
    refused("header and blank rows", csv_bytes(HEADER, "", ",,,"), Code.NO_ROWS),
    refused("duplicate header", csv_bytes(HEADER + ",topic", GOOD_ROW + ",x"), Code.HEADER_DUPLICATE_COLUMN),
    refused(
        "duplicate after trimming",
        csv_bytes(HEADER + ", topic ", GOOD_ROW + ",x"),
        Code.HEADER_DUPLICATE_COLUMN,
    ),
    refused("missing column", csv_bytes("recipient,language,topic", GOOD_ROW), Code.HEADER_MISSING_COLUMN),
    refused("unexpected column", csv_bytes(HEADER + ",age", GOOD_ROW + ",4"), Code.HEADER_UNKNOWN_COLUMN),
    refused(
        "another case is another name",
        csv_bytes(HEADER.replace("topic", "Topic"), GOOD_ROW),
        Code.HEADER_MISSING_COLUMN,
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    refused(
        "an empty name in between",
        csv_bytes("recipient,,language,recipient_name,topic"),
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    refused(
        "several faults of the header",
        csv_bytes("recipient,recipient,language,name,topic", GOOD_ROW),
        Code.HEADER_DUPLICATE_COLUMN,
        Code.HEADER_MISSING_COLUMN,
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    refused(
        "over 200 columns", csv_bytes(",".join(f"c{n}" for n in range(201)), "x"), Code.HEADER_UNKNOWN_COLUMN
    ),
    refused(
        "sep=,",
        csv_bytes("sep=,", HEADER, GOOD_ROW),
        *[Code.HEADER_MISSING_COLUMN] * 4,
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    refused(
        "one column",
        csv_bytes("recipient", "6591234567"),
        *[Code.HEADER_MISSING_COLUMN] * 3,
    ),
    refused(
        "semicolons", csv_bytes(HEADER.replace(",", ";"), GOOD_ROW.replace(",", ";")), Code.DELIMITER_INVALID
    ),
    refused(
        "tabs", csv_bytes(HEADER.replace(",", "\t"), GOOD_ROW.replace(",", "\t")), Code.DELIMITER_INVALID
    ),
    refused(
        "semicolons with a comma", csv_bytes(HEADER.replace(",", ";") + ",", GOOD_ROW), Code.DELIMITER_INVALID
    ),
    refused(
        "malformed header",
        csv_bytes('"recipient"x,language,recipient_name,topic', GOOD_ROW),
        Code.ROW_QUOTE_INVALID,
    ),
    refused(
        "header that isn't UTF-8",
        csv_bytes(HEADER).replace(b"topic", b"t\xf6pic") + b"x",
        Code.ENCODING_INVALID,
    ),
    refused(
        "21 rows in the test environment", guide_csv(*[GOOD_ROW] * 21), Code.TOO_MANY_ROWS, rules=TEST_RULES
    ),
    refused(
        "21 bad rows in the test environment", guide_csv(*[BAD] * 21), Code.TOO_MANY_ROWS, rules=TEST_RULES
    ),
    refused(
        "any fault of the file stops the row checks",
        csv_bytes(HEADER + ",age", BAD),
        Code.HEADER_UNKNOWN_COLUMN,
    ),
]

OF_A_ROW = [
    faulty("16 digits of no country", cells("9991234567890123"), (2, "recipient", Code.RECIPIENT_TOO_LONG)),
    faulty(
        "15 digits of no country", cells("999123456789012"), (2, "recipient", Code.RECIPIENT_UNKNOWN_COUNTRY)
    ),
    faulty(
        "Windows-1252",
        guide_csv(GOOD_ROW) + b"6591234567,english,Ren\xe9,tax\n",
        (3, None, Code.ENCODING_INVALID),
    ),
    faulty(
        "a cut sequence",
        guide_csv(GOOD_ROW, GOOD_ROW) + b"6591234567,chinese,\xe9\x99,tax\n" + GOOD_ROW.encode(),
        (4, None, Code.ENCODING_INVALID),
    ),
    faulty(
        "an encoded surrogate",
        guide_csv() + b"6591234567,chinese,\xed\xa0\x80,x",
        (2, None, Code.ENCODING_INVALID),
    ),
    faulty(
        "bad bytes in two rows",
        guide_csv() + b"6591234567,english,\xff,a\n" + GOOD_ROW.encode() + b"\n\xfe\n",
        (2, None, Code.ENCODING_INVALID),
        (4, None, Code.ENCODING_INVALID),
    ),
    faulty(
        "text after a closing quote",
        guide_csv('6591234567,english,"Amy"x,tax', GOOD_ROW),
        (2, None, Code.ROW_QUOTE_INVALID),
    ),
    faulty(
        "space after a closing quote",
        guide_csv('6591234567,english,"Amy" ,tax', GOOD_ROW),
        (2, None, Code.ROW_QUOTE_INVALID),
    ),
    faulty(
        "backslash before a quote",
        guide_csv('6591234567,english,"say \\"hi\\"",tax', GOOD_ROW),
        (2, None, Code.ROW_QUOTE_INVALID),
    ),
    faulty(
        "space before an opening quote",
        guide_csv('6591234567,english, "Yeo, Emily",tax', GOOD_ROW),
        (2, None, Code.ROW_TOO_MANY_FIELDS),
    ),
    faulty(
        "a quote never closed swallows the rest",
        guide_csv(GOOD_ROW, '6591234567,english,"Amy,tax', BAD, BAD),
        (3, None, Code.ROW_QUOTE_INVALID),
    ),
    faulty(
        "too few fields", guide_csv(GOOD_ROW, "6591234567,english,Amy"), (3, None, Code.ROW_TOO_FEW_FIELDS)
    ),
    faulty(
        "empty is another reason than missing",
        guide_csv("6591234567,english,Amy,"),
        (2, "topic", Code.VALUE_MISSING),
    ),
    faulty("too many fields", guide_csv(GOOD_ROW + ",x"), (2, None, Code.ROW_TOO_MANY_FIELDS)),
    faulty(
        "an extra field of a space isn't empty",
        guide_csv(GOOD_ROW + ", "),
        (2, None, Code.ROW_TOO_MANY_FIELDS),
    ),
    faulty(
        "a filled cell under a trailing empty column",
        csv_bytes(HEADER + ",", GOOD_ROW + ",x", GOOD_ROW + ","),
        (2, None, Code.ROW_TOO_MANY_FIELDS),
    ),
    faulty(
        "too few wins over what the cells hold",
        guide_csv(BAD, "+65,klingon"),
        (2, "recipient", Code.RECIPIENT_HAS_PLUS),
        (3, None, Code.ROW_TOO_FEW_FIELDS),
    ),
    faulty(
        "blank rows are counted",
        guide_csv("", GOOD_ROW, ",,,", "  ", BAD),
        (6, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    faulty(
        "blank lines before the header are counted",
        b"\n\n" + guide_csv(BAD),
        (4, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    faulty(
        "a row with line breaks is one",
        guide_csv('6591234567,english,"a\nb\nc",tax', BAD),
        (3, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    faulty(
        "CRCRLF makes a blank row each",
        csv_bytes(HEADER, GOOD_ROW, BAD, end="\r\r\n"),
        (5, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    faulty("NUL", cells(name="A\0my"), (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER)),
    faulty("DEL", cells(name="A\x7fmy"), (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER)),
    faulty(
        "U+0085 is a control character",
        cells(language="chinese", name="A\x85my"),
        (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER),
    ),
    faulty("form feed", cells(name="A\fmy"), (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER)),
    faulty("Ctrl-Z at the end", guide_csv(GOOD_ROW) + b"\x1a", (3, None, Code.ROW_TOO_FEW_FIELDS)),
    faulty(
        "Ctrl-Z after the last value",
        guide_csv(GOOD_ROW)[:-1] + b"\x1a",
        (2, "topic", Code.VALUE_CONTROL_CHARACTER),
    ),
    faulty(
        "header repeated in the middle",
        guide_csv(GOOD_ROW, HEADER, GOOD_ROW),
        (3, "recipient", Code.RECIPIENT_NOT_DIGITS),
        (3, "language", Code.LANGUAGE_UNKNOWN),
    ),
    faulty("a comment", guide_csv("# list of May", GOOD_ROW), (2, None, Code.ROW_TOO_FEW_FIELDS)),
    faulty("a field of 1 MB", cells(topic="x" * 1_000_000), (2, None, Code.MESSAGE_TOO_LONG)),
    faulty(
        "1,001 characters",
        cells(topic="a" * (1001 - len("Dear Amy, we have received your ."))),
        (2, None, Code.MESSAGE_TOO_LONG),
    ),
    faulty(
        "characters are UTF-16 units",
        cells(language="chinese", topic="😀" * 496),
        (2, None, Code.MESSAGE_TOO_LONG),
    ),
    faulty("formula as recipient", cells("=6591234567"), (2, "recipient", Code.RECIPIENT_NOT_DIGITS)),
    faulty(
        "leading apostrophe as recipient", cells("'6591234567"), (2, "recipient", Code.RECIPIENT_NOT_DIGITS)
    ),
    faulty("6.59E+09 as recipient", cells("6.59E+09"), (2, "recipient", Code.RECIPIENT_SCIENTIFIC_NOTATION)),
    faulty("012345 as recipient", cells("012345"), (2, "recipient", Code.RECIPIENT_LEADING_ZERO)),
    faulty("language empty", cells(language=""), (2, "language", Code.LANGUAGE_MISSING)),
    faulty("language of nobody", cells(language="englsh"), (2, "language", Code.LANGUAGE_UNKNOWN)),
    faulty("language isn't trimmed", cells(language="english "), (2, "language", Code.LANGUAGE_UNKNOWN)),
    faulty(
        "language not in the template", cells(language="Tamil"), (2, "language", Code.LANGUAGE_UNAVAILABLE)
    ),
    faulty("value with a space before", cells(name=" Amy"), (2, "recipient_name", Code.VALUE_WHITESPACE)),
    faulty(
        "value with a line break after", cells(name="Amy\n"), (2, "recipient_name", Code.VALUE_WHITESPACE)
    ),
    faulty(
        "value with NBSP after",
        cells(language="chinese", name="Amy\xa0"),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
    ),
    faulty(
        "value with TAB before",
        cells(language="chinese", name="\tAmy"),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
    ),
    faulty(
        "TAB inside, english", cells(name="A\tmy"), (2, "recipient_name", Code.VALUE_UNSUPPORTED_CHARACTERS)
    ),
    faulty(
        "unsupported once per parameter",
        cells(name="[A]", topic="~"),
        *[(2, name, Code.VALUE_UNSUPPORTED_CHARACTERS) for name in ("recipient_name", "topic")],
    ),
    faulty(
        "all faults of a row are told",
        cells("+65", "english", " [", ""),
        (2, "recipient", Code.RECIPIENT_HAS_PLUS),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
        (2, "recipient_name", Code.VALUE_UNSUPPORTED_CHARACTERS),
        (2, "topic", Code.VALUE_MISSING),
    ),
]
CASES = ACCEPTED + OF_THE_FILE + OF_A_ROW
