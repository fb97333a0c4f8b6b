"""Uploads with faults in their rows, with row, column and code of each."""

from rules.codes import FindingCode as Code
from tests.processing.builders import GOOD_ROW, HEADER, csv_bytes, guide_csv
from tests.processing.cases.csv_case import BAD, cells, faulty

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
        "characters that were lost when bytes were decoded",
        guide_csv(GOOD_ROW, "6591234567,chinese,Ren\ufffd,tax", GOOD_ROW),
        (3, None, Code.ENCODING_INVALID),
    ),
    faulty(
        "bad bytes beside an old report's column",
        csv_bytes("Error Reason," + HEADER, "x," + GOOD_ROW, "x,6591234567,english,Amy,t\ufffdx"),
        (3, None, Code.ENCODING_INVALID),
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
        "filled cells under many columns without a name",
        csv_bytes(
            HEADER + "," * 30,
            GOOD_ROW,
            GOOD_ROW + "," * 29 + "x,",
            GOOD_ROW + ",,x",
            GOOD_ROW + "," * 40 + "x",
            BAD + "," * 30,
            "," * 34,
            "6591234567,english",
        ),
        (3, None, Code.ROW_TOO_MANY_FIELDS),
        (4, None, Code.ROW_TOO_MANY_FIELDS),
        (5, None, Code.ROW_TOO_MANY_FIELDS),
        (6, "recipient", Code.RECIPIENT_HAS_PLUS),
        (8, None, Code.ROW_TOO_FEW_FIELDS),
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
