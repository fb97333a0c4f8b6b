"""A batch's delivery report as a file: its columns, what is charged, and nothing that a spreadsheet takes for a formula."""

import csv
import io
import json
import xml.etree.ElementTree as ET
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
BATCH = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
MESSAGE = "message_0d9c31e2-4b7f-8c58-9a61-7e200000000"
MESSAGES: list[dict[str, object]] = [
    {"attempts": [{"status": 6, "error": "server_unknown_error"}]},
    {"attempts": [{"status": 6, "error": "message_expired", "may_have_arrived": True}]},
    {"attempts": [{"status": 6, "error": "recipient_invalid", "sent_at": AT}]},
    {
        "attempts": [
            {"status": 6, "error": "message_expired"},
            {"status": 5, "sent_at": AT, "delivered_at": AT},
        ]
    },
    {},
]
COLUMNS = [
    "created", "sent", "delivered", "message id", "batch id", "file name", "recipient", "language", "name", "date", "status",
    "error type", "error code", "attempts", "segments", "encoding", "charged", "creator", "key's name",
]  # fmt: skip
# What a spreadsheet would take for a formula, a number or markup of its own.
ODD = ["=1+1", "+65", "-1", "@SUM(A1)", "\tx", "0012", "<r><t>x</t></r>", '6,5\n"7"']


def test_the_delivery_report_as_csv(
    admin: "Call", campaign_id: str, database: "Database", tmp_path: Path
) -> None:
    upload = database.insert_upload(
        campaign_id, "upload_1", status="accepted", batch_id=BATCH, finished_at=AT
    )
    database.run(
        "insert into audit_events (event, campaign_id, upload_id, actor) values ('upload_received', $1, 'upload_1', 'SHA256:x')",
        campaign_id,
    )
    database.run(
        "insert into ssh_keys (campaign_id, fingerprint, algorithm, public_key, label) "
        "values ($1, 'SHA256:x', 'a', 'b', 'night job')",
        campaign_id,
    )
    database.insert_batch(
        campaign_id, BATCH, MESSAGES, upload_id=upload, taken_at=AT, cursor_row=5, success=1, failure=3
    )
    out = tmp_path / "deliveries.csv"
    answer = admin("batch", "report", BATCH, "--out", out)
    assert answer.status == 0, answer.err
    assert "5 messages" in answer.err
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.read_bytes().startswith(b"\xef\xbb\xbfcreated,sent,")
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig"))))
    assert list(rows[0]) == COLUMNS
    assert [row["status"] for row in rows] == ["failure", "failure", "failure", "success", "enqueued"]
    assert rows[2] == {
        "created": "2026-11-22T14:05:04.321+08:00", "sent": "2026-11-22T14:00:00.000+08:00", "delivered": "",
        "message id": f"{MESSAGE}4", "batch id": BATCH, "file name": "clinic.csv", "recipient": "6591234567",
        "language": "english", "name": "Tan", "date": "1 May", "status": "failure", "error type": "delivery_error",
        "error code": "recipient_invalid", "attempts": "1", "segments": "1", "encoding": "GSM-7", "charged": "0",
        "creator": "service@localhost", "key's name": "night job",
    }  # fmt: skip
    assert [row["attempts"] for row in rows] == ["1", "1", "1", "2", "0"]
    for number, words in enumerate((["success", "enqueued"], ["success, enqueued"])):
        some = tmp_path / f"some{number}.csv"
        admin("batch", "report", BATCH, "--out", some, "--status", *words)
        assert [row.split(",")[3][-1] for row in some.read_text().splitlines()[1:]] == ["5", "6"]


def test_a_report_takes_nothing_for_a_formula(
    admin: "Call", campaign_id: str, database: "Database", tmp_path: Path
) -> None:
    messages = [{"values": json.dumps({"name": odd, "date": "d"})} for odd in ODD]
    database.insert_batch(campaign_id, BATCH, messages)
    admin("batch", "report", BATCH, "--out", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert names == [f"'{odd}" for odd in ODD[:5]] + ODD[5:]
    answer = admin("batch", "report", BATCH, "--out", tmp_path / "x.xlsx")
    assert answer.status == 0, answer.err
    assert b"<f>" not in zipfile.ZipFile(tmp_path / "x.xlsx").read("xl/worksheets/sheet1.xml")
    header, *rows = read_sheet(tmp_path / "x.xlsx")
    assert header == COLUMNS
    assert [row[8] for row in rows] == ODD
    assert rows[0][6] == "6591234567"
    # Our own counts alone are numbers.
    assert rows[0][13:15] == [0.0, 1.0]


def read_sheet(path: Path) -> list[list[object]]:
    """The cells of a workbook's first sheet; strings stand in them."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    sheet = ET.fromstring(zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in sheet.iter(f"{space}row"):
        cells: list[object] = [None] * len(COLUMNS)
        for cell in row:
            place = ord(cell.attrib["r"][0]) - ord("A")
            text = "".join(part.text or "" for part in cell.iter() if part.tag in (f"{space}t", f"{space}v"))
            cells[place] = text if cell.attrib.get("t") == "inlineStr" else float(text)
        rows.append(cells)
    return rows


def test_charged_are_the_segments_of_each_charged_attempt(
    admin: "Call", database: "Database", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, campaign_id: str
) -> None:  # fmt: skip
    unavailable = {"status": 6, "error": "recipient_unavailable"}
    cases: list[tuple[list[dict[str, object]], str, int]] = [
        ([{"status": 5}], "6591234567", 2),
        ([unavailable, unavailable, {"status": 5}], "6591234567", 6),
        ([{"status": 6, "error": "server_unknown_error"}, {"status": 5}], "6591234567", 2),
        ([{"status": 6, "error": "message_expired"}], "6591234567", 2),
        ([{"status": 6, "error": "message_expired", "expired": True}], "6591234567", 0),
        ([{"status": 6, "error": "delivery_unknown_error"}], "6591234567", 0),
        ([{"status": 4}], "6591234567", 0),
        ([{"status": 4}], "60123456789", 2),
        ([{"status": 2}], "60123456789", 0),
        ([], "6591234567", 0),
    ]
    messages = [
        {"attempts": attempts, "recipient": recipient, "segments": 2} for attempts, recipient, _ in cases
    ]
    database.insert_batch(campaign_id, BATCH, messages, taken_at=AT)
    monkeypatch.setenv("SFTP_GATEWAY_ENVIRONMENT", "production")
    admin("batch", "report", BATCH, "--out", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [int(row["charged"]) for row in csv.DictReader(file)] == [charged for *_, charged in cases]


def test_a_parameter_called_like_a_column_says_that_it_is_one(
    admin: "Call", database: "Database", tmp_path: Path
) -> None:
    campaign = admin(
        "campaign", "create", "--name", "B", "--notify", "b@b.sg", "--template", "english=x {{status}} {{kind}}"
    ).out.strip()  # fmt: skip
    database.insert_batch(campaign, BATCH, [{"values": json.dumps({"status": "gold", "kind": "k"})}])
    admin("batch", "report", BATCH, "--out", tmp_path / "x.csv")
    [row] = csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text("utf-8-sig")))
    assert (row["parameter status"], row["kind"], row["status"]) == ("gold", "k", "created")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--out", "there.csv"], 2, "can't be written"),
        (["--out", "x.csv", "--status", "delivered"], 2, "no message has the status"),
        (["--out", "x.pdf", "--format", "pdf"], 2, "csv or xlsx"),
        ([], 2, "--out"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused(
    admin: "Call", campaign_id: str, database: "Database", tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[str], status: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("mine")
    database.insert_batch(campaign_id, BATCH, [{}])
    answer = admin("batch", "report", BATCH, *words)
    assert (answer.status, says in answer.err) == (status, True), answer.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["there.csv"]
    assert Path("there.csv").read_text() == "mine"


def test_no_report_is_left_where_there_is_no_such_batch(admin: "Call", tmp_path: Path) -> None:
    assert admin("batch", "report", "batch_1", "--out", tmp_path / "x.csv").status == 1
    assert not (tmp_path / "x.csv").exists()
