"""`validate`: the gateway's verdict without its servers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call

TEMPLATE = ("--template", "english=Dear {{name}}", "--template", "chinese=您好 {{name}}")
GOOD = b"recipient,language,name\n6591234567,english,Tan\n6581234567,Chinese,\xe9\x99\x88\n"
BAD = (
    "recipient,language,name\n6591234567,english,Tan\n+6591234568,english,[x]\n6591234569,tamil,“x\n".encode()
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_bytes(GOOD)
    (tmp_path / "bad.CSV").write_bytes(BAD)
    (tmp_path / "bad.txt").write_bytes(BAD)
    return tmp_path


def test_a_good_file_is_valid(call: "Call", folder: Path) -> None:
    for words, stdin in ((["good.csv"], b""), (["-"], GOOD), (["good.csv", "--findings"], b"")):
        answer = call("validate", *words, *TEMPLATE, stdin=stdin)
        assert (answer.status, answer.out, answer.err) == (0, '{"isValid":true,"batchId":null}\n', "")


def test_a_bad_file_is_told_as_the_mail_would(call: "Call", folder: Path) -> None:
    answer = call("validate", "bad.CSV", *TEMPLATE, "--findings", "--report", "out.csv")
    assert answer.status == 1
    first, *findings = answer.out.splitlines()
    assert first == (
        '{"isValid":false,"reportURL":"out.csv","numRows":2,"numErrors":3,'
        '"fileHasAvoidableExpensiveCharacter":true,"fileHasUnicode":true}'
    )
    assert [list(json.loads(line)) for line in findings] == [["row", "column", "code", "text"]] * 3
    assert [(row["row"], row["column"], row["code"]) for row in map(json.loads, findings)] == [
        (3, "recipient", "recipient_has_plus"),
        (3, "name", "value_unsupported_characters"),
        (4, "language", "language_unavailable"),
    ]
    report = (folder / "out.csv").read_bytes()
    assert report.startswith(b'\xef\xbb\xbfrecipient,language,name,"Error Reason"\n')
    assert report.count(b"\n") == 4
    assert (folder / "out.csv").stat().st_mode & 0o777 == 0o600


def test_without_a_report_the_link_is_null(call: "Call", folder: Path) -> None:
    answer = call("validate", "-", *TEMPLATE, stdin=BAD)
    assert answer.status == 1
    assert answer.document["reportURL"] is None
    assert len(answer.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "file_empty"), (b"recipient,language,name\n", "no_rows"), (b"recipient;language;name\n1;2;3\n", "delimiter_invalid")],
)  # fmt: skip
def test_a_fault_of_the_file_has_its_reason(call: "Call", folder: Path, content: bytes, code: str) -> None:
    answer = call("validate", "-", *TEMPLATE, "--findings", stdin=content)
    assert answer.status == 1
    mail, finding = map(json.loads, answer.out.splitlines())
    assert list(mail)[-1] == "errorReason"
    assert (mail["numRows"], mail["numErrors"]) == (0, 1)
    assert (finding["row"], finding["column"], finding["code"]) == (None, None, code)
    assert finding["text"] == mail["errorReason"]


def test_a_name_that_the_front_would_refuse_is_refused(call: "Call", folder: Path) -> None:
    answer = call("validate", "bad.txt", *TEMPLATE, "--findings")
    assert answer.status == 1
    assert json.loads(answer.out.splitlines()[1])["code"] == "file_not_csv"


def test_the_environment_is_production_unless_told(call: "Call", folder: Path) -> None:
    rows = b"recipient,language,name\n" + b"6591234567,english,Tan\n" * 21
    assert call("validate", "-", *TEMPLATE, stdin=rows).status == 0
    assert call("validate", "-", *TEMPLATE, "--environment", "test", stdin=rows).status == 1
    simulator = b"recipient,language,name\n6511111111,english,Tan\n"
    assert call("validate", "-", *TEMPLATE, stdin=simulator).status == 1
    assert call("validate", "-", *TEMPLATE, "--environment", "test", stdin=simulator).status == 0


def test_a_campaigns_own_template_judges_too(admin: "Call", campaign_id: str) -> None:
    content = b"recipient,language,name,date\n6591234567,english,Tan,1 May\n"
    assert admin("validate", "-", "--campaign", campaign_id, stdin=content).status == 0
    assert admin("validate", "-", "--campaign", campaign_id, stdin=GOOD).status == 1
    unknown = admin("validate", "-", "--campaign", "nobody", stdin=content)
    assert (unknown.status, unknown.out) == (1, "")
