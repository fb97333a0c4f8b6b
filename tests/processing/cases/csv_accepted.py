"""Uploads that must be accepted, however oddly they are written."""

from tests.processing.builders import GOOD_ROW, HEADER, csv_bytes, guide_csv, quoted_csv
from tests.processing.cases.csv_case import (
    TEST_RULES,
    TWO,
    accepted,
    at_most,
    cells,
)

ACCEPTED = [
    accepted("as many bytes as are allowed", guide_csv(GOOD_ROW), at_most(len(guide_csv(GOOD_ROW)) + 1)),
    accepted("as many rows as are allowed", guide_csv(GOOD_ROW, "", GOOD_ROW), at_most(rows=4)),
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
    accepted("an old report on a whole file", csv_bytes(HEADER + ",Error Reason: no rows", GOOD_ROW + ",")),
    accepted(
        "an old report's column in Windows-1252",
        csv_bytes(HEADER + ",Error Reason", GOOD_ROW + ',"use “ instead"').replace("“".encode(), b"\x93"),
    ),
    accepted(
        "an old report's column on a whole file in Windows-1252",
        csv_bytes(HEADER + ",Error Reason: the column x… is missing", GOOD_ROW + ",").replace(
            "…".encode(), b"\x85"
        ),
    ),
    accepted(
        "an old report's column with characters that were lost",
        csv_bytes(HEADER + ",Error Reason", GOOD_ROW + ",recipient Ren\ufffd is not a number"),
    ),
    accepted("U+2028 and U+0085 are no line breaks", cells(language="chinese", name="a\u2028b")),
    accepted("rows of commas above the header", csv_bytes(",,,", ",,,", HEADER, GOOD_ROW)),
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
    accepted(
        "rows of all widths under many columns without a name",
        csv_bytes(HEADER + "," * 30, GOOD_ROW, GOOD_ROW + "," * 30, GOOD_ROW + "," * 9, GOOD_ROW + "," * 40),
    ),
    accepted("200 columns, most of them empty", csv_bytes(HEADER + "," * 400, GOOD_ROW)),
]
