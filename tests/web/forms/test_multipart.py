"""Bodies of multipart/form-data, as they are cut into pieces by networks, by mistake and by malice."""

import hashlib
from collections.abc import AsyncIterator, Iterable

import pytest

from tests.api.batches.bodies import BOUNDARY, body, form, part
from web.forms.multipart import BodyLimits, BodyRefused, parse_boundary, received_file

LIMITS = BodyLimits(most_body=20_000, file_refused_from=10_000)
# Whatever a file may hold that looks like a boundary, and isn't one.
TRICKY = (
    f"a,b\r\n--{BOUNDARY}x\r\n--{BOUNDARY[:-1]}\r\n\r\n-\r\n--\r\n--{BOUNDARY}-x\r\n--{BOUNDARY}\rx--{BOUNDARY}--\r\n"
    f"\r\n\r\r\n--{BOUNDARY}\nx\r"
).encode()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes, size: int = 4096, names: list[str] | None = None) -> tuple[str, bytes, str]:
    """The file's name, content and SHA-256, from a body that comes in pieces of this size."""
    noted: list[str] = [] if names is None else names
    async with received_file(pieces(data, size), BOUNDARY.encode(), LIMITS, noted.append) as file:
        content = file.file.read()
        assert len(content) == file.byte_count
        return file.file_name, content, file.sha256


async def refusal(data: bytes, size: int = 4096) -> tuple[int, str]:
    with pytest.raises(BodyRefused) as caught:
        await read(data, size)
    return caught.value.status, caught.value.message


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 64, 5000])
async def test_a_file_is_the_same_however_its_body_is_cut(size: int) -> None:
    name, content, sha256 = await read(form(TRICKY, others=[("note", b"x")]), size)
    assert (name, content) == ("appointments.csv", TRICKY)
    assert sha256 == hashlib.sha256(TRICKY).hexdigest()


async def test_what_is_gathered_is_written_in_its_order() -> None:
    lines = b"".join(b"%d,english\r\n" % number for number in range(700))
    assert (await read(form(lines), 1))[1] == lines


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        pytest.param('form-data; name="file"; filename="x.csv"', "x.csv", id="as most clients"),
        pytest.param("form-data; name=file; filename=x.csv", "x.csv", id="without quotes"),
        pytest.param('Form-Data; filename="x.csv"; name="file"', "x.csv", id="other order and case"),
        pytest.param(
            'form-data; name="file"; filename="陈 a;b.csv"', "陈 a;b.csv", id="UTF-8 and a semicolon"
        ),
        pytest.param('form-data; name="file"; filename="a\\"b.csv"', 'a"b.csv', id="a quotation mark"),
        pytest.param('form-data; name="file"; filename="C:\\x\\y.csv"', "y.csv", id="a path of Windows"),
        pytest.param("form-data; name=file; filename=x.csv; filename*=UTF-8''y.exe", "x.csv", id="extended"),
        pytest.param('form-data; name="file"', "", id="none"),
    ],
)
async def test_the_name_is_told_before_the_file_is_read(disposition: str, name: str) -> None:
    names: list[str] = []
    assert await read(body(part(b"x", disposition)), names=names) == (
        name, b"x", hashlib.sha256(b"x").hexdigest()
    )  # fmt: skip
    assert names == [name]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(body(part(b"x", 'form-data; name="files"; filename="x.csv"')), '"file" is missing', id="no file"),
        pytest.param(body(part(b"x"), part(b"y")), 'more than one part "file"', id="two files"),
        pytest.param(form(b"x", others=[(f"n{n}", b"") for n in range(4)]), "more than 3 parts", id="four others"),
        pytest.param(form(b"x", others=[("n", bytes(1025))]), "more than 1024 bytes", id="a long other"),
        pytest.param(body(part(b"x", "form-data")), "no Content-Disposition of form-data", id="no name"),
        pytest.param(body(part(b"x", 'attachment; name="file"')), "no Content-Disposition", id="attachment"),
        pytest.param(part(b"x").replace(b"Content-Disposition", b"X-Other") + b"--8f5c1d--", "no Content-D", id="none"),
        pytest.param(
            body(part(b"x", 'form-data; name="file"; filename="x.csv"\r\nContent-Disposition: form-data; name="n"')),
            "more than one Content-Disposition", id="two dispositions",
        ),
        pytest.param(body(part(b"x").replace(b"appointments", b"\xff")), "not UTF-8", id="Latin-1 name"),
        pytest.param(part(b"x"), "ends before its last boundary", id="no end"),
        pytest.param(part(b"x") + b"--8f5c1d", "ends before its last boundary", id="half an end"),
        pytest.param(b"", "ends before its last boundary", id="empty"),
        pytest.param(b"preamble\r\n" + form(b"x"), "no well-formed", id="preamble"),
        pytest.param(form(b"x").replace(b"8f5c1d", b"000000"), "no well-formed", id="another boundary"),
        pytest.param(form(b"x").replace(b"\r\n", b"\n"), "no well-formed", id="bare line feeds"),
        pytest.param(
            body(part(b"x", "form-data; name=file; filename=x.csv" + ";a=b" * 2000)), "no well-formed", id="long header"
        ),
        pytest.param(body(part(b"x", "form-data; name=n" + "\r\nX-Y: z" * 20)), "no well-formed", id="many headers"),
        pytest.param(b"--8f5c1d\r\n\r\nx\r\n--8f5c1d--\r\n", "no Content-Disposition", id="no headers"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 4096])
async def test_a_body_that_is_none_is_refused_in_one_sentence(data: bytes, message: str, size: int) -> None:
    status, told = await refusal(data, size)
    assert status == 400
    assert message in told
    assert "\n" not in told


async def test_the_first_size_refused_is_refused_and_the_last_before_it_taken() -> None:
    assert len((await read(form(bytes(9_999))))[1]) == 9_999
    assert (await refusal(form(bytes(10_000))))[0] == 413


async def test_a_body_too_long_is_refused_wherever_its_bytes_are() -> None:
    assert (await refusal(form(b"x") + bytes(20_000)))[0] == 413
    assert (await read(form(b"x") + bytes(10_000)))[1] == b"x"


async def test_a_hundred_thousand_parts_are_refused_at_the_fifth() -> None:
    taken = 0

    async def counted(data: Iterable[bytes]) -> AsyncIterator[bytes]:
        nonlocal taken
        for piece in data:
            taken += 1
            yield piece

    many = (part(b"", f'form-data; name="n{number}"') for number in range(100_000))
    with pytest.raises(BodyRefused, match="more than 3 parts"):
        async with received_file(counted(many), BOUNDARY.encode(), LIMITS, lambda _name: None):
            pass
    assert taken == 5


async def test_a_refused_name_ends_the_reading() -> None:
    class UnwantedError(Exception):
        pass

    def refuse(_name: str) -> None:
        raise UnwantedError

    async def endless() -> AsyncIterator[bytes]:
        yield part(b"x")[:-2]
        raise AssertionError("it is read on")

    with pytest.raises(UnwantedError):
        async with received_file(endless(), BOUNDARY.encode(), LIMITS, refuse):
            pass


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        pytest.param("multipart/form-data; boundary=abc", b"abc", id="plain"),
        pytest.param('Multipart/Form-Data; charset=utf-8; boundary="a b:c"', b"a b:c", id="quoted"),
    ],
)
def test_the_boundary_is_read(content_type: str, boundary: bytes) -> None:
    assert parse_boundary(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        pytest.param("", 415, id="none"),
        pytest.param("application/json", 415, id="JSON"),
        pytest.param("multipart/mixed; boundary=abc", 415, id="mixed"),
        pytest.param("multipart/form-data", 400, id="no boundary"),
        pytest.param("multipart/form-data; boundary=", 400, id="empty boundary"),
        pytest.param(f"multipart/form-data; boundary={'a' * 71}", 400, id="too long"),
        pytest.param('multipart/form-data; boundary="abc "', 400, id="blank at its end"),
        pytest.param('multipart/form-data; boundary="a\rc"', 400, id="line end"),
        pytest.param("multipart/form-data; boundary=é", 400, id="not ASCII"),
    ],
)
def test_another_media_type_or_an_unusable_boundary_is_refused(content_type: str, status: int) -> None:
    with pytest.raises(BodyRefused) as caught:
        parse_boundary(content_type)
    assert caught.value.status == status
