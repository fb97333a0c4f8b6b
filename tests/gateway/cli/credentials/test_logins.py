"""Who came in and who was refused, as ops see it when an agency says that it can't log in."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

WRONG = "SHA256:wrongwrongwrong"


def record(database: "Database", campaign_id: str, event: str, second: int, **details: object) -> None:
    actor = "SHA256:right" if event == "login_accepted" else None
    database.run(
        "insert into audit_events (at, event, campaign_id, actor, source_address, connection_id, details)"
        " values (timestamptz '2026-11-22 06:00Z' + $3 * interval '1 second', $1, $2, $4, '192.0.2.7', 'c1', $5)",
        event, campaign_id, second, actor, json.dumps(details),
    )  # fmt: skip


def test_logins_and_refusals_are_shown_newest_first(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    nothing = admin("campaign", "show", campaign_id, "--events")
    assert "No login by SFTP is on record" in nothing.err
    assert "No call by the API is on record" in nothing.err

    record(database, campaign_id, "login_accepted", 1)
    record(database, campaign_id, "upload_received", 2, bytes=5)
    record(database, campaign_id, "session_ended", 3, seconds=2.0, ended_by="idle")
    record(database, campaign_id, "login_refused", 4, reason="key", keys_tried=[WRONG], left_out_before=7)
    record(database, "other", "login_refused", 5, reason="source")
    admin("campaign", "addresses", campaign_id, "--add", "192.0.2.7")
    prefix = admin("apikey", "add", campaign_id, "--json").document["prefix"]
    database.run(
        "insert into api_uses (prefix, source_address, campaign_id, last_at, admitted, forbidden)"
        " values ($1, '192.0.2.9', $2, '2026-11-22 06:00Z', 3, 1200)",
        prefix,
        campaign_id,
    )

    document = admin("campaign", "show", campaign_id, "--events", "--json").document
    assert document["campaignId"] == campaign_id
    assert [(each["event"], each["details"]) for each in document["events"]] == [
        ("login_refused", {"reason": "key", "keys_tried": [WRONG], "left_out_before": 7}),
        # As a release before this one wrote it.
        ("session_ended", {"reason": "idle", "seconds": 2.0}),
        ("login_accepted", {}),
    ]
    assert document["events"][2]["fingerprint"] == "SHA256:right"
    assert document["events"][0]["sourceAddress"] == "192.0.2.7"
    assert document["apiCalls"] == [
        {
            "lastAt": "2026-11-22T06:00:00.000Z", "prefix": prefix, "sourceAddress": "192.0.2.9", "admitted": 3,
            "unauthorized": 0, "forbidden": 1200, "limited": 0,
        }
    ]  # fmt: skip
    limited = admin("campaign", "show", campaign_id, "--events", "--limit", "1", "--json").document
    assert [each["event"] for each in limited["events"]] == ["login_refused"]
    assert not {"events", "apiCalls"} & admin("campaign", "show", campaign_id, "--json").document.keys()

    shown = " ".join(admin("campaign", "show", campaign_id, "--events").out.split())
    for words in ("login_refused", "7 more in the minute before", "1,200"):
        assert words in shown
