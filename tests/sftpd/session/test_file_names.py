"""The name rule and what a name means (2-gateway.md §1, the drop box)."""

import pytest

from config.sections import SFTPSettings
from sftpd.refusals import FolderRefused, NameRefused
from sftpd.session.file_names import (
    NameKind,
    classify_name,
    is_root,
    may_become,
    parse_name,
)

SUFFIXES = SFTPSettings().temporary_suffixes

ONE_NAME = [b"x.csv", b"/x.csv", b"./x.csv", b"/./x.csv", b"//x.csv", b"///x.csv", b"././x.csv", b"/.//x.csv"]
ACCEPTED = [
    pytest.param("a" * 251 + ".csv", id="255 bytes"),
    pytest.param("陈.csv", id="Chinese"),
    pytest.param("தமிழ்.csv", id="Tamil with marks"),
    pytest.param("a b\\c;'\"$.csv", id="blanks, backslash and quotes"),
    pytest.param("...csv", id="dots"),
    pytest.param("a..csv", id="two dots inside"),
    pytest.param("-rf.csv", id="a dash first"),
    pytest.param("e\u0301.csv", id="decomposed, as macOS sends it"),
    pytest.param("a\u200d.csv", id="zero-width joiner, which Tamil and emoji need"),
]
NAMES_REFUSED = [
    pytest.param(b"a" * 252 + b".csv", id="256 bytes"),
    pytest.param(b"\xff.csv", id="not UTF-8"),
    pytest.param(b"\xed\xa0\x80.csv", id="a surrogate"),
    pytest.param(b"\xc0\xaf.csv", id="an overlong slash"),
    pytest.param(b"a\0.csv", id="NUL"),
    pytest.param(b"a\n.csv", id="line feed"),
    pytest.param(b"a\x7f.csv", id="DEL"),
    pytest.param("a\x9b.csv".encode(), id="C1 control"),
    pytest.param("a\x85.csv".encode(), id="next line"),
    pytest.param("a\u202evsc.csv".encode(), id="right-to-left override"),
    pytest.param("a\u2066.csv".encode(), id="isolate"),
    pytest.param("a\u200f.csv".encode(), id="right-to-left mark"),
    pytest.param("a\u061c.csv".encode(), id="Arabic letter mark"),
    pytest.param("a\u2028.csv".encode(), id="line separator"),
    pytest.param("a\u2029.csv".encode(), id="paragraph separator"),
    pytest.param(b"", id="empty"),
]
FOLDERS_REFUSED = [
    b"../x.csv",
    b"/../x.csv",
    b"../..",
    b"a/x.csv",
    b"/a/x.csv",
    b"a//x.csv",
    b"./../x.csv",
    b"x.csv/",
    b"x.csv/.",
    b"a/..",
    b"/./../x.csv",
    b"...//x.csv",
]


@pytest.mark.parametrize("path", ONE_NAME)
def test_these_spellings_are_one_name(path: bytes) -> None:
    assert parse_name(path) == "x.csv"


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert parse_name(b"/" + name.encode()) == name


@pytest.mark.parametrize("path", NAMES_REFUSED)
def test_a_name_against_the_rule_is_refused(path: bytes) -> None:
    with pytest.raises(NameRefused):
        parse_name(path)


@pytest.mark.parametrize("path", FOLDERS_REFUSED)
def test_any_other_slash_or_two_dots_are_refused(path: bytes) -> None:
    with pytest.raises(FolderRefused):
        parse_name(path)


@pytest.mark.parametrize(
    "path", [b"", b"/", b".", b"./", b"/.", b"/./", b"//", b"..", b"/..", b"/../", b"//.."]
)
def test_the_drop_box_itself_has_these_names(path: bytes) -> None:
    assert is_root(path)


@pytest.mark.parametrize("path", [b"...", b"/...", b"/../..", b"..x", b".x", b"x", b"/x/", b"/../x"])
def test_nothing_else_is_the_drop_box(path: bytes) -> None:
    assert not is_root(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.csv", NameKind.CSV),
        ("x.CSV", NameKind.CSV),
        ("x.part.csv", NameKind.CSV),
        ("x.csv.filepart", NameKind.TEMPORARY),
        ("x.csv.part", NameKind.TEMPORARY),
        ("x.csv.1a2b3c4d.partial", NameKind.TEMPORARY),
        ("x.csv.TMP", NameKind.TEMPORARY),
        ("x.temp", NameKind.TEMPORARY),
        ("x.inprogress", NameKind.TEMPORARY),
        ("x.uploading", NameKind.TEMPORARY),
        (".x.csv", NameKind.TEMPORARY),
        (".csv", NameKind.TEMPORARY),
        ("x.csv.writing", NameKind.TEMPORARY),
        ("x.csv.lftp", NameKind.TEMPORARY),
        pytest.param("x.csv.0123456789abcdef0123456789ABCDEF", NameKind.TEMPORARY, id="Azure Data Factory"),
        pytest.param("x.CSV.1a2b3c4d", NameKind.TEMPORARY, id="rclone"),
        pytest.param("x.csv-Ab12", NameKind.TEMPORARY, id="Cyberduck"),
        ("x.csv-0123456789abcdeF", NameKind.TEMPORARY),
        pytest.param("x.csv~", NameKind.TEMPORARY, id="YADE"),
        pytest.param("x.csv.20251125", NameKind.OTHER, id="a date"),
        ("x.csv." + "1" * 32, NameKind.OTHER),
        ("x.csv-2025", NameKind.OTHER),
        ("x.csv-20251125", NameKind.OTHER),
        ("x.csv-Ab1", NameKind.OTHER),
        ("x.csv-Ab12Ab12Ab12Ab12A", NameKind.OTHER),
        ("x.csv.1a2b3c4", NameKind.OTHER),
        ("x.csv.1a2b3c4g", NameKind.OTHER),
        ("x.csv.\u0661a2b3c4d", NameKind.OTHER),
        ("x.csv~1", NameKind.OTHER),
        ("xcsv~", NameKind.OTHER),
        ("x~", NameKind.OTHER),
        pytest.param("x.csv-Ab12.csv", NameKind.CSV, id="a name in .csv all the same"),
        ("x.txt", NameKind.OTHER),
        ("x", NameKind.OTHER),
        ("csv", NameKind.OTHER),
        ("x.csv ", NameKind.OTHER),
        ("x.csv.gz", NameKind.OTHER),
        ("part", NameKind.OTHER),
    ],
)
def test_a_temporary_name_wins_over_csv(name: str, kind: NameKind) -> None:
    assert classify_name(name, SUFFIXES) is kind


@pytest.mark.parametrize(
    ("temporary", "name", "fits"),
    [
        ("x.csv.filepart", "x.csv", True),
        (".in.x.csv.", "x.csv", True),
        ("x.csv.1a2b3c4d.partial", "x.csv", True),
        ("y.csv.filepart", "x.csv", False),
        ("x.csv", "x.csv", False),
    ],
)
def test_a_temporary_name_tells_what_it_becomes(temporary: str, name: str, fits: bool) -> None:
    assert may_become(temporary, name, SUFFIXES) is fits
