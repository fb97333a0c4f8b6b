"""Uploads that are refused as a whole, with their codes."""

from rules.codes import FindingCode as Code
from tests.processing.builders import GOOD_ROW, HEADER, csv_bytes, guide_csv
from tests.processing.cases.csv_case import (
    BAD,
    TEST_RULES,
    TWO,
    at_most,
    file_refused,
)

OF_THE_FILE = [
    file_refused(
        "as many bytes as are too many",
        guide_csv(GOOD_ROW),
        Code.FILE_TOO_LARGE,
        rules=at_most(len(guide_csv(GOOD_ROW))),
    ),
    file_refused(
        "too large wins over empty", b"\n" * 100, Code.FILE_TOO_LARGE, rules=at_most(len(guide_csv(GOOD_ROW)))
    ),
    file_refused(
        "too many rows",
        guide_csv(GOOD_ROW, GOOD_ROW, GOOD_ROW),
        Code.TOO_MANY_ROWS,
        rules=at_most(rows=3),
    ),
    file_refused(
        "blank rows are rows", guide_csv(GOOD_ROW, "", ""), Code.TOO_MANY_ROWS, rules=at_most(rows=3)
    ),
    file_refused("many rows, no rows", guide_csv("", "", ""), Code.TOO_MANY_ROWS, rules=at_most(rows=3)),
    file_refused(
        "findings of the header first",
        csv_bytes(HEADER + ",age", "", "", ""),
        Code.HEADER_UNKNOWN_COLUMN,
        rules=at_most(rows=3),
    ),
    file_refused("UTF-16 with BOM", csv_bytes(*TWO).decode().encode("utf-16"), Code.ENCODING_INVALID),
    file_refused(
        "UTF-16 big endian", b"\xfe\xff" + csv_bytes(*TWO).decode().encode("utf-16-be"), Code.ENCODING_INVALID
    ),
    file_refused("UTF-16 without BOM", csv_bytes(*TWO).decode().encode("utf-16-le"), Code.ENCODING_INVALID),
    file_refused("a spreadsheet", b"PK\x03\x04\x14\x00\x06\x00" + bytes(100), Code.ENCODING_INVALID),
    file_refused("binary", bytes(range(256)), Code.ENCODING_INVALID),
    file_refused("empty", b"", Code.FILE_EMPTY),
    file_refused("only line ends", b"\r\n\n\r", Code.FILE_EMPTY),
    file_refused("only a BOM", b"\xef\xbb\xbf", Code.FILE_EMPTY),
    file_refused("only a BOM and line ends", b"\xef\xbb\xbf\n", Code.FILE_EMPTY),
    file_refused("header only", csv_bytes(HEADER), Code.NO_ROWS),
    file_refused("header without line end", HEADER.encode(), Code.NO_ROWS),
    file_refused("header and blank rows", csv_bytes(HEADER, "", ",,,"), Code.NO_ROWS),
    file_refused(
        "duplicate header", csv_bytes(HEADER + ",topic", GOOD_ROW + ",x"), Code.HEADER_DUPLICATE_COLUMN
    ),
    file_refused(
        "duplicate after trimming",
        csv_bytes(HEADER + ", topic ", GOOD_ROW + ",x"),
        Code.HEADER_DUPLICATE_COLUMN,
    ),
    file_refused(
        "missing column", csv_bytes("recipient,language,topic", GOOD_ROW), Code.HEADER_MISSING_COLUMN
    ),
    file_refused(
        "unexpected column", csv_bytes(HEADER + ",age", GOOD_ROW + ",4"), Code.HEADER_UNKNOWN_COLUMN
    ),
    file_refused(
        "another case is another name",
        csv_bytes(HEADER.replace("topic", "Topic"), GOOD_ROW),
        Code.HEADER_MISSING_COLUMN,
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    file_refused(
        "an empty name in between",
        csv_bytes("recipient,,language,recipient_name,topic"),
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    file_refused(
        "several findings of the header",
        csv_bytes("recipient,recipient,language,name,topic", GOOD_ROW),
        Code.HEADER_DUPLICATE_COLUMN,
        Code.HEADER_MISSING_COLUMN,
        Code.HEADER_UNKNOWN_COLUMN,
    ),
    file_refused(
        "over 200 columns", csv_bytes(",".join(f"c{n}" for n in range(201)), "x"), Code.HEADER_UNKNOWN_COLUMN
    ),
    file_refused(
        "sep=,",
        csv_bytes("sep=,", HEADER, GOOD_ROW),
        Code.HEADER_MISSING_COLUMN,
    ),
    file_refused(
        "one column",
        csv_bytes("recipient", "6591234567"),
        *[Code.HEADER_MISSING_COLUMN] * 3,
    ),
    file_refused(
        "semicolons", csv_bytes(HEADER.replace(",", ";"), GOOD_ROW.replace(",", ";")), Code.DELIMITER_INVALID
    ),
    file_refused(
        "tabs", csv_bytes(HEADER.replace(",", "\t"), GOOD_ROW.replace(",", "\t")), Code.DELIMITER_INVALID
    ),
    file_refused(
        "semicolons with a comma", csv_bytes(HEADER.replace(",", ";") + ",", GOOD_ROW), Code.DELIMITER_INVALID
    ),
    file_refused("vertical bars", csv_bytes(HEADER.replace(",", "|"), GOOD_ROW), Code.DELIMITER_INVALID),
    file_refused("full-width commas", csv_bytes(HEADER.replace(",", "，"), GOOD_ROW), Code.DELIMITER_INVALID),
    file_refused(
        "vertical bars in quoted lines",
        csv_bytes('"' + HEADER.replace(",", "|") + '"', "x"),
        Code.DELIMITER_INVALID,
    ),
    file_refused(
        "each line in quotation marks", csv_bytes(f'"{HEADER}"', f'"{GOOD_ROW}"'), Code.LINES_QUOTED
    ),
    file_refused(
        "each line in quotation marks, with quotation marks",
        csv_bytes('"recipient,""language"",recipient_name,topic",,', f'"{GOOD_ROW}",,'),
        Code.LINES_QUOTED,
    ),
    file_refused("a title row", csv_bytes("Title", HEADER, GOOD_ROW), Code.HEADER_MISSING_COLUMN),
    file_refused(
        "a title row with a quotation mark", csv_bytes('"T"x', HEADER, GOOD_ROW), Code.HEADER_MISSING_COLUMN
    ),
    file_refused(
        "a header that isn't at the top, with a column too many",
        csv_bytes("Title;1", "", HEADER + ",x", GOOD_ROW),
        Code.HEADER_MISSING_COLUMN,
    ),
    file_refused(
        "malformed header",
        csv_bytes('"recipient"x,language,recipient_name,topic', GOOD_ROW),
        Code.ROW_QUOTE_INVALID,
    ),
    file_refused(
        "header that isn't UTF-8",
        csv_bytes(HEADER).replace(b"topic", b"t\xf6pic") + b"x",
        Code.ENCODING_INVALID,
    ),
    file_refused(
        "21 rows in the test environment", guide_csv(*[GOOD_ROW] * 21), Code.TOO_MANY_ROWS, rules=TEST_RULES
    ),
    file_refused(
        "21 bad rows in the test environment", guide_csv(*[BAD] * 21), Code.TOO_MANY_ROWS, rules=TEST_RULES
    ),
    file_refused(
        "any finding of the file stops the row checks",
        csv_bytes(HEADER + ",age", BAD),
        Code.HEADER_UNKNOWN_COLUMN,
    ),
]
