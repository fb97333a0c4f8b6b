"""`sftp-gateway billing …` and an agency's payment form, at the command line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.settings import variable_of

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Answer, Call, Database

# Long before any day on which this test may run, so that the running period is another.
NOVEMBER = datetime(2025, 11, 10, 4, tzinfo=UTC)
AS_OF = "2025-12-05"


@pytest.fixture
def production(admin: "Call", monkeypatch: pytest.MonkeyPatch) -> "Call":
    monkeypatch.setenv(variable_of("environment"), "production")
    return admin


@pytest.fixture
def posted(production: "Call", campaign_id: str, database: "Database") -> str:
    """A campaign whose November 2025 is posted: 3 local segments, 2 foreign ones."""
    delivered = {"status": 5, "created_at": NOVEMBER, "updated_at": NOVEMBER, "sent_at": NOVEMBER}
    database.insert_batch(
        campaign_id,
        "batch_1",
        [
            {"segments": 3, "attempts": [delivered]},
            {"recipient": "447911123456", "segments": 2, "attempts": [delivered]},
        ],
    )
    answer = production("billing", "close", "--month", "2025-11", "--as-of", AS_OF)
    assert (answer.status, answer.out) == (0, "")
    assert answer.err.splitlines()[-1] == "2025-11 is posted: 1 report"
    return campaign_id


def refused(answer: "Answer", status: int = 1) -> str:
    """The one line of a refusal."""
    assert answer.status == status, answer.err
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    return line


def test_a_month_is_closed_shown_reported_and_corrected(
    production: "Call", posted: str, database: "Database", tmp_path: Path
) -> None:
    again = production("billing", "close", "--month", "2025-11", "--as-of", AS_OF)
    assert (again.status, again.err) == (0, "2025-11 was posted already, 2025-12-04 16:00:00Z\n")
    earlier = production("billing", "close", "--month", "2025-10", "--as-of", AS_OF)
    assert (earlier.status, earlier.err) == (0, "2025-10 was closed already, with a later month\n")
    shown = production("billing", "show", "--agency", "default", "--period", "2025", "--json").document
    assert (shown["period"], shown["firstMonth"], shown["lastMonth"]) == ("2025", "2025-07", "2026-01")
    assert (shown["segments"], shown["cost"], shown["costMills"]) == (5, "0.60", 598)
    (november,) = [one for one in shown["months"] if one["month"] == "2025-11"]
    assert {
        name: november[name] for name in ("isPosted", "version", "postedAt", "disputeBy", "countedAt")
    } == {
        "isPosted": True,
        "version": 1,
        "postedAt": "2025-12-04T16:00:00.000Z",
        "disputeBy": "2026-01-04",
        "countedAt": None,
    }
    table = production("billing", "show", "--agency", "default", "--period", "2025").out
    assert "SGD 0.60" in table
    assert "version 1" in table
    out = tmp_path / "november.csv"
    answer = production("billing", "report", "--agency", "default", "--month", "2025-11", "--out", out)
    assert answer.status == 0, answer.err
    assert out.read_text("utf-8-sig").splitlines()[-1] == "Total,,,,,,3,0.14,2,0.46,5,0.60,598"
    assert out.stat().st_mode & 0o777 == 0o600
    assert "can't be written" in refused(
        production("billing", "report", "--agency", "default", "--month", "2025-11", "--out", out), 2
    )
    # It could be disputed until long ago.
    correct = [
        "billing",
        "correct",
        "--month",
        "2025-11",
        "--campaign",
        posted,
        "--segments",
        "-1",
        "--reason",
        "r",
    ]
    assert (
        refused(production(*correct, "--yes"))
        == "error: 2025-11 is final: it could be disputed until 2026-01-04"
    )
    database.run("update billing_reports set dispute_by = '2999-01-01'")
    # Who sits at a terminal is asked; a script isn't.
    assert "Correct it?" in production(*correct, stdin=b"n\n", keyboard=True).err
    answer = production(*correct)
    assert answer.err.endswith("2025-11 has version 2, SGD 0.05 less; it can be disputed until 2999-01-01\n")
    for version, segments in ((1, 5), (2, 4)):
        out = tmp_path / f"{version}.xlsx"
        words = ["billing", "report", "--agency", "default", "--month", "2025-11", "--out", out]
        answer = production(*words, "--version", version)
        assert f": {segments} segments, SGD" in answer.err
        assert out.read_bytes().startswith(b"PK")
    words = ["billing", "report", "--agency", "default", "--out", tmp_path / "none.xlsx"]
    assert (
        refused(production(*words, "--month", "2025-11", "--version", 3))
        == "error: 2025-11 has no version 3: the latest is 2"
    )
    assert "nothing that is on its bill was sent then" in refused(production(*words, "--month", "2025-10"))
    assert "nothing was sent" in production("billing", "show", "--agency", "default", "--period", "2025").out
    actors = database.run("select distinct actor is not null from audit_events where event like 'billing%'")
    assert [row[0] for row in actors] == [True]


def test_the_running_period_is_shown_so_far(production: "Call", campaign_id: str) -> None:
    shown = production("billing", "show", "--agency", "default", "--json").document
    assert shown["countedAt"] == shown["months"][-1]["countedAt"]
    assert not shown["months"][-1]["isPosted"]
    ahead = production("billing", "show", "--agency", "default", "--period", "2090")
    assert (ahead.out, ahead.err) == ("", "The period has not begun.\n")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ("close --month 2025-11 --as-of 2025-12-04T23:59", 1, "2025-11 is posted from 2025-12-05, 00:00 in Singapore, on"),
        ("close --month 2025-06", 1, "2025-06 is not charged: charges start on 2025-07-01"),
        ("close --month 2025-13", 2, "'2025-13' is no month: write it like 2026-10"),
        ("close --month 2025-11 --as-of never", 2, "--as-of 'never' is no time"),
        ("close --month 2025-11 --as-of 9999-12-31", 2, "--as-of '9999-12-31' is no time"),
        ("close --month 2025-11 --as-of 0001-01-01", 2, "--as-of '0001-01-01' is no time"),
        ("show --agency nobody", 1, "there is no agency 'nobody'"),
        ("show --agency default --period 2024", 2, "'2024' is no billing period"),
        ("show --agency default --period x", 2, "'x' is no billing period"),
        ("report --agency default --month 2025-11 --out OUT", 1, "2025-11 is not posted yet: it is from 2025-12-05 on"),
        ("report --agency default --period 2025 --out OUT", 1, "2026-01 is not posted yet: it is from 2026-02-05 on"),
        ("report --agency default --out OUT", 2, "give either --month, such as 2026-10, or --period"),
        ("report --agency default --month 2025-11 --period 2025 --out OUT", 2, "give either --month"),
        ("report --agency default --period 2025 --version 2 --out OUT", 2, "only a month's report has versions"),
        ("report --agency default --month 2025-11 --out OUT --format pdf", 2, "a report's format is xlsx or csv"),
        ("correct --month 2025-11 --campaign nobody --segments 1 --reason r --yes", 1, "there is no campaign 'nobody'"),
        ("price add --local 0.0465 --foreign 0.23 --from 2027-02-01", 2, "'0.0465' is no price"),
        ("price add --local 0.046 --foreign -1 --from 2027-02-01", 2, "'-1' is no price"),
        ("price add --local 0.046 --foreign 0.23 --from tomorrow", 2, "--from 'tomorrow' is no day"),
        ("price add --local 0.046 --foreign 0.23 --from 2025-07-01", 1, "there is a price from 2025-07-01 on"),
    ],
)  # fmt: skip
def test_every_refusal_is_one_clear_line(
    production: "Call", words: str, status: int, text: str, tmp_path: Path
) -> None:
    out = tmp_path / "report.xlsx"
    line = refused(production("billing", *words.replace("OUT", str(out)).split()), status)
    assert line.startswith(f"error: {text}")
    assert not out.exists()


def test_outside_production_nothing_is_posted(admin: "Call") -> None:
    assert "production alone" in refused(admin("billing", "close", "--month", "2025-11"))
    assert "nothing is charged here" in admin("billing", "show", "--agency", "default").err


def test_prices_are_listed_and_added(production: "Call") -> None:
    answer = production(
        "billing", "price", "add", "--local", "0.05", "--foreign", "0.3", "--from", "2031-02-01"
    )
    assert answer.err == "From 2031-02-01 on a segment costs SGD 0.05 locally, SGD 0.30 to foreign numbers\n"
    listed = production("billing", "price", "list", "--json").document
    assert [(one["validFrom"], one["local"], one["foreign"]) for one in listed] == [
        ("2025-07-01", "0.046", "0.23"),
        ("2031-02-01", "0.05", "0.30"),
    ]
    assert "SGD 0.046" in production("billing", "price", "list").out


def test_an_agency_has_what_its_payment_form_says(admin: "Call", database: "Database") -> None:
    admin("agency", "add", "Exams", "--domain", "exams.gov.sg")
    words = ["--customer-id", "C 1", "--sub-bu", "B", "--contact", "fin@exams.gov.sg"]
    assert admin("agency", "set", "Exams", *words).status == 0
    changed = admin("agency", "set", "Exams", "--sub-bu", "", "--json").document
    assert (changed["customerId"], changed["subBu"], changed["contact"]) == ("C 1", None, "fin@exams.gov.sg")
    assert "fin@exams.gov.sg" in admin("agency", "show", "Exams").out
    assert "give what is to be changed" in refused(admin("agency", "set", "Exams"), 2)
    assert "at most 100 printable" in refused(admin("agency", "set", "Exams", "--contact", "x" * 101))
    assert "no agency" in refused(admin("agency", "set", "nobody", "--contact", "x"))
    events = database.run(
        "select details from audit_events where event = 'agency_billing_changed' order by id"
    )
    assert ["exams.gov.sg" in row["details"] for row in events] == [False, False]
