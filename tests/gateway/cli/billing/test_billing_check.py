"""`billing check`: exit status 1 and a line for each total that isn't what the attempts come to."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database


def test_totals_that_differ_are_named_and_nothing_else(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    answer = admin("billing", "check")
    assert (answer.status, answer.out) == (0, "")
    assert "campaigns recounted: 1; their totals are what their attempts come to" in answer.err
    database.run(
        "insert into usage_days values ($1, '2026-10-31', 'local', 'message_expired', true, 'GSM-7', 12, 14)",
        campaign_id,
    )
    for words in ((), ("--campaign", campaign_id)):
        answer = admin("billing", "check", *words)
        assert (answer.status, answer.err) == (1, "")
        assert answer.out == (
            f"{campaign_id} 2026-10-31 local message_expired (our own expiry) GSM-7: "
            "counted 12 attempts, 14 segments; found 0 attempts, 0 segments\n"
        )
    document = admin("billing", "check", "--json").document
    assert document["campaigns"] == 1
    assert document["differences"] == [
        {
            "campaignId": campaign_id,
            "day": "2026-10-31",
            "destination": "local",
            "outcome": "message_expired",
            "ownExpiry": True,
            "encoding": "GSM-7",
            "counted": {"attempts": 12, "segments": 14},
            "found": {"attempts": 0, "segments": 0},
        }
    ]


def test_a_campaign_that_is_none_is_refused(admin: "Call") -> None:
    answer = admin("billing", "check", "--campaign", "campaign_none")
    assert (answer.status, answer.out) == (1, "")
    assert "there is no campaign 'campaign_none'" in answer.err
