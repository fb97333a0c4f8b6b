"""Bytes to whole rows: line ends, quotation marks, and chunks that end anywhere."""

import io
import random
import time

import pytest

from processing.columns.chunks import read_chunks
from processing.columns.quotes import unquote
from tests.processing.reference.split_rows import decode, split_rows

ReadRow = tuple[list[str], bool]

CASES = {
    "LF": (b"a,b\nc,d\n", [["a", "b"], ["c", "d"]]),
    "CRLF": (b"a,b\r\nc,d\r\n", [["a", "b"], ["c", "d"]]),
    "CR alone": (b"a,b\rc,d\r", [["a", "b"], ["c", "d"]]),
    "mixed": (b"a\rb\nc\r\nd", [["a"], ["b"], ["c"], ["d"]]),
    "CRCRLF is a blank row more": (b"a\r\r\nb\r\r\n", [["a"], [""], ["b"], [""]]),
    "no final line end": (b"a,b\nc,d", [["a", "b"], ["c", "d"]]),
    "byte order mark": (b"\xef\xbb\xbfa\nb\n", [["a"], ["b"]]),
    "byte order mark and quotes": (b'\xef\xbb\xbf"a"\nb\n', [["a"], ["b"]]),
    "only the first byte order mark": (b"\xef\xbb\xbf\xef\xbb\xbfa\n", [["\ufeffa"]]),
    "blank rows": (b"\n\na\n\n", [[""], [""], ["a"], [""]]),
    "nothing": (b"", []),
    "trailing comma": (b"a,\n,", [["a", ""], ["", ""]]),
    "quoted comma and line ends": (b'"a,b\r\nc",d\n"e\r"\r', [["a,b\r\nc", "d"], ["e\r"]]),
    "doubled marks": (b'"a""b","",""""\n', [['a"b', "", '"']]),
    "literal mark": (b'5" pipe,x\n', [['5" pipe', "x"]]),
    "space before a mark": (b'a, "b,c"\n', [["a", ' "b', 'c"']]),
    "U+2028 and U+0085 end no line": ("a\u2028b\x85c\n".encode(), [["a\u2028b\x85c"]]),
    "NUL": (b"a\0b,\0\n", [["a\0b", "\0"]]),
}
MALFORMED = {
    "text after the closing mark": (b'"a"b,c\nd,e\n', [(['"a"b', "c"], True), (["d", "e"], False)]),
    "backslash": (b'"a \\"b\\"",c\nd,e\n', [(['"a \\"b\\""', "c"], True), (["d", "e"], False)]),
    "space after the closing mark": (b'"a" ,c\n', [(['"a" ', "c"], True)]),
    "never closed": (b'a,b\n"c,d\ne,f\n', [(["a", "b"], False), (['"c,d\ne,f\n'], True)]),
    "closed by another field's": (b'a,"b\nc,"d"\ne,f\n', [(["a", '"b\nc,"d"'], True), (["e", "f"], False)]),
    "two in one file": (
        b'"a"b\nc\n"d"e\n"f"\n',
        [(['"a"b'], True), (["c"], False), (['"d"e'], True), (["f"], False)],
    ),
}


def read_all(data: bytes, chunk_bytes: int) -> list[ReadRow]:
    """Every row's values, or its fields as written where it is malformed."""
    rows: list[ReadRow] = []
    for chunk in read_chunks(io.BytesIO(data), chunk_bytes):
        assert chunk.first == len(rows) + 1
        assert list(chunk.each_row()) == chunk.rows()
        for place, row in enumerate(chunk.rows()):
            fields = row.split(chunk.separator)
            assert len(fields) == chunk.width_of(place) == list(chunk.each_width())[place]
            is_malformed = place in chunk.malformed
            values = fields if is_malformed else [unquote(field) for field in fields]
            rows.append(([value.decode("utf-8", "surrogateescape") for value in values], is_malformed))
        assert len(chunk.rows()) == chunk.count
    return rows


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 8, 1000])
@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES)
def test_rows_are_cut_wherever_a_chunk_ends(data: bytes, expected: list[list[str]], chunk_bytes: int) -> None:
    assert read_all(data, chunk_bytes) == [(fields, False) for fields in expected]


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 8, 1000])
@pytest.mark.parametrize(("data", "expected"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_quotation_marks_are_found_on_their_own_row(
    data: bytes, expected: list[ReadRow], chunk_bytes: int
) -> None:
    assert read_all(data, chunk_bytes) == expected


def test_a_row_never_closed_is_told_from_one_with_text_after_its_mark() -> None:
    (closed,) = read_chunks(io.BytesIO(b'"a"b'))
    (unclosed,) = read_chunks(io.BytesIO(b'"a\n'))
    assert (closed.unclosed, unclosed.unclosed) == (False, True)


def test_random_marks_commas_and_line_ends_are_read_as_the_reference_reads_them() -> None:
    chance = random.Random(11)
    alphabet = ['"', '"', ",", ",", "\n", "\r", "\r\n", "a", "b", "é", " ", "\x1f", "\0"]
    for _ in range(3000):
        data = "".join(chance.choices(alphabet, k=chance.randrange(30))).encode()
        expected = [(row.raw, row.quote_invalid) for row in split_rows(decode(data))]
        for chunk_bytes in (chance.randrange(1, 6), 100):
            read = []
            for chunk in read_chunks(io.BytesIO(data), chunk_bytes):
                for place, row in enumerate(chunk.rows()):
                    read.append((row.replace(chunk.separator, b",").decode(), place in chunk.malformed))
            assert read == expected, data


def test_a_file_with_every_control_character_can_still_be_cut() -> None:
    controls = bytes(code for code in range(32) if code not in b"\r\n") + b"\x7f"
    (chunk,) = read_chunks(io.BytesIO(b'"' + controls + b'",b\n"c\nd"\n'))
    first, second = (row.split(chunk.separator) for row in chunk.rows())
    assert (len(first), first[1], second) == (2, b"b", [b'"c\nd"'])
    # One of them had to stand for three others, white space and control characters all four.
    assert unquote(first[0]).translate(None, b"\x1c\x1d\x1e\x1f") == controls.translate(
        None, b"\x1c\x1d\x1e\x1f"
    )


def test_a_huge_row_is_a_chunk_of_its_own() -> None:
    data = b"a,b\n" + b"x" * 500 + b"," * 500 + b"\nc,d\n"
    chunks = list(read_chunks(io.BytesIO(data), 100))
    assert [chunk.widest for chunk in chunks] == [2, 501, 2]


def test_a_row_of_very_many_fields_is_read_as_the_reference_reads_it() -> None:
    chance = random.Random(5)
    alphabet = ['"', '"', '""', ",", ",", ",", "a", "é", '""x', '"b"']
    for end in ("\n", "\r\n", "\r", ""):
        long = ',""x' * 2500 + ",".join("".join(chance.choices(alphabet, k=4)) for _ in range(4000))
        for data in (long, long + '"' + end + "c,d\n", long + end + 'e,"f"\n'):
            expected = [(row.raw, row.quote_invalid) for row in split_rows(decode(data.encode()))]
            for chunk_bytes in (500, 1_000_000):
                read = [
                    (
                        row.replace(chunk.separator, b",").decode(),
                        place in chunk.malformed,
                        chunk.width_of(place),
                    )
                    for chunk in read_chunks(io.BytesIO(data.encode()), chunk_bytes)
                    for place, row in enumerate(chunk.rows())
                ]
                assert [(raw, is_wrong) for raw, is_wrong, _ in read] == expected
                assert [width for *_, width in read] == [
                    len(row.fields) for row in split_rows(decode(data.encode()))
                ]


@pytest.mark.timeout(100)
def test_thirty_megabytes_of_wrong_marks_in_one_row_take_no_time_for_each() -> None:
    began = time.process_time()
    (chunk,) = read_chunks(io.BytesIO(b',""x' * 7_500_000))
    assert (chunk.widest, chunk.malformed) == (7_500_001, (0,))
    assert time.process_time() - began < 12
