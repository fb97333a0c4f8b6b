"""Uploads with findings in their rows, with row, column and code of each."""

from rules.codes import FindingCode as Code
from tests.processing.builders import GOOD_ROW, HEADER, csv_bytes, guide_csv
from tests.processing.cases.csv_case import BAD, cells, rows_refused

OF_A_ROW = [
    rows_refused(
        "16 digits of no country", cells("9991234567890123"), (2, "recipient", Code.RECIPIENT_TOO_LONG)
    ),
    rows_refused(
        "15 digits of no country", cells("999123456789012"), (2, "recipient", Code.RECIPIENT_UNKNOWN_COUNTRY)
    ),
    rows_refused(
        "Windows-1252",
        guide_csv(GOOD_ROW) + b"6591234567,english,Ren\xe9,tax\n",
        (3, None, Code.ENCODING_INVALID),
    ),
    rows_refused(
        "a cut sequence",
        guide_csv(GOOD_ROW, GOOD_ROW) + b"6591234567,chinese,\xe9\x99,tax\n" + GOOD_ROW.encode(),
        (4, None, Code.ENCODING_INVALID),
    ),
    rows_refused(
        "an encoded surrogate",
        guide_csv() + b"6591234567,chinese,\xed\xa0\x80,x",
        (2, None, Code.ENCODING_INVALID),
    ),
    rows_refused(
        "characters that were lost when bytes were decoded",
        guide_csv(GOOD_ROW, "6591234567,chinese,Ren\ufffd,tax", GOOD_ROW),
        (3, None, Code.ENCODING_INVALID),
    ),
    rows_refused(
        "bad bytes beside an old report's column",
        csv_bytes("Error Reason," + HEADER, "x," + GOOD_ROW, "x,6591234567,english,Amy,t\ufffdx"),
        (3, None, Code.ENCODING_INVALID),
    ),
    rows_refused(
        "bad bytes in two rows",
        guide_csv() + b"6591234567,english,\xff,a\n" + GOOD_ROW.encode() + b"\n\xfe\n",
        (2, None, Code.ENCODING_INVALID),
        (4, None, Code.ENCODING_INVALID),
    ),
    rows_refused(
        "text after a closing quote",
        guide_csv('6591234567,english,"Amy"x,tax', GOOD_ROW),
        (2, None, Code.ROW_QUOTE_INVALID),
    ),
    rows_refused(
        "space after a closing quote",
        guide_csv('6591234567,english,"Amy" ,tax', GOOD_ROW),
        (2, None, Code.ROW_QUOTE_INVALID),
    ),
    rows_refused(
        "backslash before a quote",
        guide_csv('6591234567,english,"say \\"hi\\"",tax', GOOD_ROW),
        (2, None, Code.ROW_QUOTE_INVALID),
    ),
    rows_refused(
        "space before an opening quote",
        guide_csv('6591234567,english, "Yeo, Emily",tax', GOOD_ROW),
        (2, None, Code.ROW_TOO_MANY_FIELDS),
    ),
    rows_refused(
        "a quote never closed swallows the rest",
        guide_csv(GOOD_ROW, '6591234567,english,"Amy,tax', BAD, BAD),
        (3, None, Code.ROW_QUOTE_INVALID),
    ),
    rows_refused(
        "too few fields", guide_csv(GOOD_ROW, "6591234567,english,Amy"), (3, None, Code.ROW_TOO_FEW_FIELDS)
    ),
    rows_refused(
        "empty is another reason than missing",
        guide_csv("6591234567,english,Amy,"),
        (2, "topic", Code.VALUE_MISSING),
    ),
    rows_refused("too many fields", guide_csv(GOOD_ROW + ",x"), (2, None, Code.ROW_TOO_MANY_FIELDS)),
    rows_refused(
        "an extra field of a space isn't empty",
        guide_csv(GOOD_ROW + ", "),
        (2, None, Code.ROW_TOO_MANY_FIELDS),
    ),
    rows_refused(
        "a filled cell under a trailing empty column",
        csv_bytes(HEADER + ",", GOOD_ROW + ",x", GOOD_ROW + ","),
        (2, None, Code.ROW_TOO_MANY_FIELDS),
    ),
    rows_refused(
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
    rows_refused(
        "too few wins over what the cells hold",
        guide_csv(BAD, "+65,klingon"),
        (2, "recipient", Code.RECIPIENT_HAS_PLUS),
        (3, None, Code.ROW_TOO_FEW_FIELDS),
    ),
    rows_refused(
        "blank rows are counted",
        guide_csv("", GOOD_ROW, ",,,", "  ", BAD),
        (6, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    rows_refused(
        "blank lines before the header are counted",
        b"\n\n" + guide_csv(BAD),
        (4, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    rows_refused(
        "a row with line breaks is one",
        guide_csv('6591234567,english,"a\nb\nc",tax', BAD),
        (3, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    rows_refused(
        "CRCRLF makes a blank row each",
        csv_bytes(HEADER, GOOD_ROW, BAD, end="\r\r\n"),
        (5, "recipient", Code.RECIPIENT_HAS_PLUS),
    ),
    rows_refused("NUL", cells(name="A\0my"), (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER)),
    rows_refused("DEL", cells(name="A\x7fmy"), (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER)),
    rows_refused(
        "U+0085 is a control character",
        cells(language="chinese", name="A\x85my"),
        (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER),
    ),
    rows_refused("form feed", cells(name="A\fmy"), (2, "recipient_name", Code.VALUE_CONTROL_CHARACTER)),
    rows_refused("Ctrl-Z at the end", guide_csv(GOOD_ROW) + b"\x1a", (3, None, Code.ROW_TOO_FEW_FIELDS)),
    rows_refused(
        "Ctrl-Z after the last value",
        guide_csv(GOOD_ROW)[:-1] + b"\x1a",
        (2, "topic", Code.VALUE_CONTROL_CHARACTER),
    ),
    rows_refused(
        "header repeated in the middle",
        guide_csv(GOOD_ROW, HEADER, GOOD_ROW),
        (3, "recipient", Code.RECIPIENT_NOT_DIGITS),
        (3, "language", Code.LANGUAGE_UNKNOWN),
    ),
    rows_refused("a comment", guide_csv("# list of May", GOOD_ROW), (2, None, Code.ROW_TOO_FEW_FIELDS)),
    rows_refused("a field of 1 MB", cells(topic="x" * 1_000_000), (2, None, Code.MESSAGE_TOO_LONG)),
    rows_refused(
        "1,001 characters",
        cells(topic="a" * (1001 - len("Dear Amy, we have received your ."))),
        (2, None, Code.MESSAGE_TOO_LONG),
    ),
    rows_refused(
        "characters are UTF-16 units",
        cells(language="chinese", topic="😀" * 496),
        (2, None, Code.MESSAGE_TOO_LONG),
    ),
    rows_refused("formula as recipient", cells("=6591234567"), (2, "recipient", Code.RECIPIENT_NOT_DIGITS)),
    rows_refused(
        "leading apostrophe as recipient", cells("'6591234567"), (2, "recipient", Code.RECIPIENT_NOT_DIGITS)
    ),
    rows_refused(
        "6.59E+09 as recipient", cells("6.59E+09"), (2, "recipient", Code.RECIPIENT_SCIENTIFIC_NOTATION)
    ),
    rows_refused("012345 as recipient", cells("012345"), (2, "recipient", Code.RECIPIENT_LEADING_ZERO)),
    rows_refused("language empty", cells(language=""), (2, "language", Code.LANGUAGE_MISSING)),
    rows_refused("language of nobody", cells(language="englsh"), (2, "language", Code.LANGUAGE_UNKNOWN)),
    rows_refused(
        "language isn't trimmed", cells(language="english "), (2, "language", Code.LANGUAGE_UNKNOWN)
    ),
    rows_refused(
        "language not in the template", cells(language="Tamil"), (2, "language", Code.LANGUAGE_UNAVAILABLE)
    ),
    rows_refused(
        "value of characters that can't be seen",
        cells(language="chinese", name="\u200b\u2800\ufeff"),
        (2, "recipient_name", Code.VALUE_MISSING),
    ),
    rows_refused(
        "garbled value, english",
        cells(name="Iâ€™m", topic=" JosÃ©"),
        (2, "recipient_name", Code.ENCODING_INVALID),
        (2, "topic", Code.ENCODING_INVALID),
        (2, "topic", Code.VALUE_WHITESPACE),
    ),
    rows_refused(
        "garbled value with C1 controls and a no-break space at its end",
        cells(language="chinese", name="é\x99\x88Ã\xa0"),
        (2, "recipient_name", Code.ENCODING_INVALID),
    ),
    rows_refused(
        "a spreadsheet's error", cells(name="#N/A"), (2, "recipient_name", Code.VALUE_SPREADSHEET_ERROR)
    ),
    rows_refused("LibreOffice's error", cells(topic="Err:502"), (2, "topic", Code.VALUE_SPREADSHEET_ERROR)),
    rows_refused(
        "markup, and what else is wrong",
        cells(name="Tan &amp; [Sons] "),
        (2, "recipient_name", Code.VALUE_MARKUP),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
        (2, "recipient_name", Code.VALUE_UNSUPPORTED_CHARACTERS),
    ),
    rows_refused(
        "value with a space before", cells(name=" Amy"), (2, "recipient_name", Code.VALUE_WHITESPACE)
    ),
    rows_refused(
        "value with a line break after", cells(name="Amy\n"), (2, "recipient_name", Code.VALUE_WHITESPACE)
    ),
    rows_refused(
        "value with NBSP after",
        cells(language="chinese", name="Amy\xa0"),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
    ),
    rows_refused(
        "value with TAB before",
        cells(language="chinese", name="\tAmy"),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
    ),
    rows_refused(
        "TAB inside, english", cells(name="A\tmy"), (2, "recipient_name", Code.VALUE_UNSUPPORTED_CHARACTERS)
    ),
    rows_refused(
        "unsupported once per parameter",
        cells(name="[A]", topic="~"),
        *[(2, name, Code.VALUE_UNSUPPORTED_CHARACTERS) for name in ("recipient_name", "topic")],
    ),
    rows_refused(
        "all findings of a row are told",
        cells("+65", "english", " [", ""),
        (2, "recipient", Code.RECIPIENT_HAS_PLUS),
        (2, "recipient_name", Code.VALUE_WHITESPACE),
        (2, "recipient_name", Code.VALUE_UNSUPPORTED_CHARACTERS),
        (2, "topic", Code.VALUE_MISSING),
    ),
]
