"""Uploads to measure with, the same bytes at each call. All of them are for the template of the agency guide's example.

The good ones have up to 474,611 rows and 29.5 MB, just below the largest size that is taken. The shapes are what a careless
or hostile program might send.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rules.templates import Language, Template

ROWS: Final = 474_611
HEADER: Final = b"recipient,language,recipient_name,topic\n"
# One byte less than the first size that is refused.
FULL_BYTES: Final = 30 * 1024 * 1024 - 1
TEMPLATE: Final = Template(
    header="Open Government Products",
    bodies={
        Language.ENGLISH: "Dear {{recipient_name}}, we have received your {{topic}}.",
        Language.CHINESE: "{{recipient_name}}，您的{{topic}}已收到。",
        Language.TAMIL: "{{recipient_name}}, உங்கள் {{topic}} கிடைத்தது.",
    },
)

Row = list[str]

_NAMES: Final = ("Emily Yeo", "James Tan", "Siti Binte Rahman", "Muthu s/o Raman", "Lim Ah Kow", "O'Hara")
_CHINESE: Final = ("陈美玲", "林志明", "黄淑芬")
_TAMIL: Final = ("முத்து", "கவிதா", "செல்வி")
_FOREIGN: Final = ("6012", "6281", "9198", "4479", "1415", "8613", "6017", "6141", "8190", "3361")
_FOREIGN_DIGITS: Final = {
    "6012": 7, "6281": 8, "9198": 8, "4479": 8, "1415": 7, "8613": 9, "6017": 7, "6141": 7, "8190": 8, "3361": 7,
}  # fmt: skip


def _good_row(chance: random.Random) -> Row:
    number = f"65{chance.choice('89')}{chance.randrange(10**7):07d}"
    topic = f"passport application #{chance.randrange(10**6):06d}F"
    return [number, "english", chance.choice(_NAMES), topic]


def _foreign_row(chance: random.Random) -> Row:
    row = _good_row(chance)
    if chance.random() < 0.1:
        prefix = chance.choice(_FOREIGN)
        # Area codes that exist: the digit after the prefix is never 0 or 1.
        digits = _FOREIGN_DIGITS[prefix]
        row[0] = prefix + chance.choice("23456789") + "".join(chance.choices("0123456789", k=digits - 1))
        if prefix == "1415":
            row[0] = "14155" + "".join(chance.choices("23456789", k=6))
    return row


def _asian_row(chance: random.Random) -> Row:
    row = _good_row(chance)
    row[1], names = chance.choice((("chinese", _CHINESE), ("tamil", _TAMIL)))
    row[2] = chance.choice(names)
    row[3] = f"{'护照申请' if row[1] == 'chinese' else 'விண்ணப்பம்'} #{chance.randrange(10**6):06d}F"
    return row


def _broken_line_row(chance: random.Random) -> Row:
    row = _good_row(chance)
    row[3] = f"appointment on\n{1 + chance.randrange(28)} May, 10am\n#{chance.randrange(10**6):06d}"
    return row


_FAULTS: Final[Sequence[Callable[[Row], Row]]] = (
    lambda row: ["+" + row[0], *row[1:]],
    lambda row: [row[0][2:], *row[1:]],
    lambda row: ["6.59E+09", *row[1:]],
    lambda row: [row[0], "englsh", *row[2:]],
    lambda row: [*row[:2], "", row[3]],
    lambda row: [*row[:3], row[3] + " "],
    lambda row: [*row[:3], row[3].replace("#", "[")],
    lambda row: [row[0] + "12", *row[1:]],
)


def _rows(make: Callable[[random.Random], Row], rows: int, bad: float, seed: int) -> Iterator[Row]:
    chance = random.Random(seed)
    for place in range(rows):
        row = make(chance)
        if bad and chance.random() < bad:
            row = _FAULTS[place % len(_FAULTS)](row)
        yield row


def _plain(rows: Iterator[Row]) -> bytes:
    return HEADER + "".join(",".join(row) + "\n" for row in rows).encode()


def _quoted(rows: Iterator[Row]) -> bytes:
    return HEADER + "".join('"' + '","'.join(row) + '"\n' for row in rows).encode()


def clean(rows: int = ROWS, seed: int = 1) -> bytes:
    """Singapore numbers, English, nothing wrong."""
    return _plain(_rows(_good_row, rows, 0, seed))


def some_bad(rows: int = ROWS, seed: int = 2) -> bytes:
    """One row in fifty has a fault, eight kinds in turn."""
    return _plain(_rows(_good_row, rows, 0.02, seed))


def all_bad(rows: int = ROWS, seed: int = 3) -> bytes:
    """Every row has a fault, eight kinds in turn."""
    return _plain(_rows(_good_row, rows, 1, seed))


def quoted(rows: int = ROWS * 62 // 70, seed: int = 4) -> bytes:
    """Every field in quotation marks."""
    return _quoted(_rows(_good_row, rows, 0, seed))


def line_breaks(rows: int = ROWS * 62 // 72, seed: int = 5) -> bytes:
    """Values with line breaks, in quotation marks."""
    return _quoted(_rows(_broken_line_row, rows, 0, seed))


def chinese_and_tamil(rows: int = ROWS * 62 // 78, seed: int = 6) -> bytes:
    """Every message in UCS-2."""
    return _plain(_rows(_asian_row, rows, 0, seed))


def foreign(rows: int = ROWS, seed: int = 7) -> bytes:
    """One number in ten of another country."""
    return _plain(_rows(_foreign_row, rows, 0, seed))


# Each takes `rows` too.
GOOD_FILES: Final[dict[str, Callable[..., bytes]]] = {
    "clean": clean,
    "2 % bad": some_bad,
    "every row bad": all_bad,
    "quoted": quoted,
    "line breaks": line_breaks,
    "Chinese and Tamil": chinese_and_tamil,
    "10 % foreign": foreign,
}


def _filled(unit: bytes, beginning: bytes = HEADER) -> bytes:
    return beginning + unit * ((FULL_BYTES - len(beginning)) // len(unit))


def _one_bad_quote() -> bytes:
    rows = clean(ROWS - 10)
    middle = rows.index(b"\n", len(rows) // 2)
    return rows[: middle + 1] + b'6591234567,english,"Tan "Ah" Kow,x\n' + rows[middle + 1 :]


SHAPES: Final[dict[str, Callable[[], bytes]]] = {
    "one huge field": lambda: _filled(b"x", HEADER + b"6591234567,english,Tan,"),
    "one huge quoted field": lambda: _filled(b"x\n", HEADER + b'6591234567,english,Tan,"') + b'"',
    "quotes alone": lambda: _filled(b'"', b""),
    "quotes below the header": lambda: _filled(b'"'),
    "an odd quote, then quotes": lambda: _filled(b'"', HEADER + b'6591234567,"x"y,Tan,"'),
    "quoted letters without commas": lambda: _filled(b'"a"b'),
    "commas alone": lambda: _filled(b",", b""),
    "commas below the header": lambda: _filled(b","),
    "a good row, then commas": lambda: _filled(b",", HEADER + b"6591234567,english,Tan,x"),
    "line ends alone": lambda: _filled(b"\n", b""),
    "line ends below the header": lambda: _filled(b"\n"),
    "rows of commas": lambda: _filled(b",,,\n"),
    "a million columns": lambda: (
        b",".join(b"c%07d" % place for place in range(1_000_000)) + b"\n" + b"x," * 10**6
    ),
    "fifteen million columns": lambda: _filled(b"a,", b""),
    "one malformed quote": _one_bad_quote,
    "a quote never closed": lambda: HEADER + b'6591234567,english,"Tan,x\n' + clean(ROWS - 10),
    "a quote in every row": lambda: _filled(b'6591234567,english,5" pipe,x\n'),
    "a wrong quote in every row": lambda: _filled(b'6591234567,english,"5" pipe",x\n'),
    "shortest rows": lambda: _filled(b"6591234567,tamil,x,y\n"),
    "too few fields": lambda: _filled(b"6591234567,english,x\n"),
    "a space in every line": lambda: _filled(b" " * 20 + b"\n"),
    "one wide row": lambda: _filled(b"6591234567,english,x,y\n", HEADER + b"," * 10**6 + b"x\n"),
    "Windows-1252": lambda: _filled(b"6591234567,english,Jos\xe9,x\n"),
    "control characters": lambda: _filled(b"6591234567,english,\x00\x01,\x02x\n"),
    "different languages": lambda: (
        HEADER + b"".join(b"6591234567,engl%d,a,b\n" % place for place in range(1_200_000))
    ),
    "random bytes": lambda: random.Random(8).randbytes(FULL_BYTES),
    "random bytes below the header": lambda: HEADER + random.Random(9).randbytes(FULL_BYTES - len(HEADER)),
}
