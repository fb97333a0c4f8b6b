"""`sftp-gateway reconcile`, and what ops do with what it holds, by a login that has the rights of the admin's role."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from audit.events import Actor
from config.identifiers import new_identifier
from config.sections import S3Settings
from database.grants import DatabaseRole
from processing.object_store import Description, S3ObjectStore, open_store, original_key
from processing.reconcile.marks import Mark, Marked, _put
from processing.reconcile.receipts import describe, receipt_of
from processing.uploads import Source
from tests.conftest import run_apart
from tests.processing.builders import guide_csv

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

BATCH: Final = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
CONTENT: Final = guide_csv("6591234567,english,Emily Yeo,passport")


@pytest.fixture
def ops(admin: "Call", url_of: Callable[[DatabaseRole], str], monkeypatch: pytest.MonkeyPatch) -> "Call":
    """The command line with the rights of the admin's role."""
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", url_of(DatabaseRole.ADMIN))
    return admin


async def _put_original(store: S3ObjectStore, campaign_id: str, upload_id: str) -> None:
    received = datetime.now(UTC) - timedelta(minutes=5)
    receipt = receipt_of(upload_id, campaign_id, Source.SFTP, f"{upload_id}.csv", Actor("SHA256:x"), received)
    told = describe(receipt)
    # The embedded S3 takes an object's time from here, as rclone's own clients give it.
    mtime = {"mtime": f"{received.timestamp():.0f}"}
    await store.put(
        original_key(campaign_id, upload_id), io.BytesIO(CONTENT), download_name="upload.csv",
        description=Description({**told.open, **mtime}, told.private),
    )  # fmt: skip


def put(s3: S3Settings, originals: Mapping[str, str], accepted: Mapping[str, str], claim: datetime) -> None:
    """Originals, by upload and campaign, of which some have a mark, and the claim mark of the senders."""

    async def put_all() -> None:
        async with open_store(s3) as store:
            for upload_id, campaign_id in originals.items():
                await _put_original(store, campaign_id, upload_id)
            for upload_id, campaign_id in accepted.items():
                facts = {"batch_id": f"batch_of_{upload_id}", "total_messages": 1, "has_unicode": False}
                at = datetime.now(UTC) - timedelta(minutes=5)
                await _put(store, campaign_id, upload_id, Mark(Marked.ACCEPTED, at, facts, 0, 1))
            await store.put("sending/newest-claim", io.BytesIO(claim.isoformat().encode()), download_name="x")

    run_apart(put_all())


def test_what_a_restore_has_lost_is_entered_and_held_and_ops_decide(
    ops: "Call", campaign_id: str, database: "Database", s3_settings: S3Settings
) -> None:
    lost, sent, other, orphan = (new_identifier("upload") for _ in range(4))
    elsewhere = "campaign_lost"
    originals = {lost: campaign_id, sent: campaign_id, other: campaign_id, orphan: elsewhere}
    now = datetime.now(UTC)
    put(s3_settings, originals, {sent: campaign_id, other: campaign_id}, claim=now)
    database.run("insert into senders (name, provider, rate) values ('public', 'simulator', 100)")
    number = database.insert_batch(
        campaign_id, BATCH, [{"attempts": [{"status": 1}]}, {}], enqueued=1, cursor_row=2, waiting=True, taken_at=now,
    )  # fmt: skip
    database.run(
        "insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)"
        " select now(), id, 2, $1, $2, 2, 1 from senders",
        campaign_id,
        number,
    )

    def counted(*words: str) -> tuple[int, dict[str, Any], int]:
        answer = ops("reconcile", "--since", "10m", "--json", *words)
        return answer.status, answer.document["counts"], answer.document["batchesHeld"]

    found = {"held": 2, "received": 1, "no_campaign": 1}
    assert counted("--dry-run") == (1, found, 0)
    assert database.run("select from uploads") == []
    assert counted() == (1, found, 1)
    assert counted() == (1, {"no_campaign": 1}, 0)
    table = ops("reconcile", "--since", "10m", "--dry-run")
    assert "create it with the same --id" in table.out

    # Nothing leaves: neither what waits, nor what was put back. Then ops let the batch go.
    assert ops("sending", "status", "--json").document[0]["pausedSince"] is not None
    assert "restored" in ops("batch", "show", BATCH).out
    [[held_at]] = database.run("select at::text from due")
    assert held_at == "infinity"
    assert ops("sending", "resume", "--all").status == 0
    assert ops("batch", "release", BATCH).status == 0
    assert database.run("select from due where at <= now()") != []
    assert counted() == (1, {"no_campaign": 1}, 0)

    held = ops("upload", "list", "--held", "--json").document
    assert sorted(upload["id"] for upload in held) == sorted([sent, other])
    assert "since a restore" in ops("upload", "show", sent).out
    assert ops("upload", "show", sent, "--json").document["held"]["because"] == "marked"
    assert ops("upload", "refuse", sent).status == 0
    assert ops("upload", "release", other).status == 0
    assert ops("upload", "list", "--held", "--json").document == []
    shown = ops("upload", "show", sent, "--json").document
    assert (shown["status"], shown["batchId"]) == ("accepted", f"batch_of_{sent}")
    assert [step["event"] for step in shown["timeline"]] == ["upload_restored", "upload_hold_refused"]
    assert ops("upload", "show", other, "--json").document["status"] == "received"
    refused = ops("upload", "refuse", sent)
    assert (refused.status, "nothing to refuse" in refused.err) == (1, True)
    jobs = database.run("select convert_from(payload, 'utf8') as id from pgqueuer order by id")
    assert [job["id"] for job in jobs] == sorted([lost, other])
    [event] = database.run(
        "select details::jsonb->'counts'->>'held' as held from audit_events where event = 'bucket_reconciled' order by id limit 1"
    )
    assert event["held"] == "2"


def test_a_database_that_lacks_nothing_is_left_as_it_is(
    ops: "Call", campaign_id: str, database: "Database", s3_settings: S3Settings
) -> None:
    database.insert_batch(campaign_id, BATCH, [{}], waiting=True)
    answer = ops("reconcile", "--json")
    assert answer.status == 0, answer.err
    assert (answer.document["counts"], answer.document["batchesHeld"]) == ({}, 0)
    assert "agree" in ops("reconcile").err
    assert database.run("select from batches where held_since is not null") == []
    bad = ops("reconcile", "--since", "soon")
    assert (bad.status, "--since" in bad.err) == (2, True)


def test_a_bucket_that_is_away_is_said_and_nothing_is_done(
    ops: "Call", campaign_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFTP_GATEWAY_S3__ENDPOINT_URL", "http://127.0.0.1:9")
    answer = ops("reconcile")
    assert (answer.status, answer.err.count("\n")) == (3, 1)
    assert "can't be reached" in answer.err
