"""What an original's metadata tells of its upload, by each way in, and who can read it."""

import base64
import io
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from audit.events import Actor
from config.identifiers import new_identifier
from config.settings import Settings
from database.connections import Connection, Pool
from processing.intake import AwaitedSpool, CheckedSpool, Intake, IntakeError, Sender
from processing.object_store import Description, S3ObjectStore, open_store, original_key
from processing.reconcile.marks import Marked, fetch_mark
from processing.reconcile.receipts import Receipt, ReceiptUnreadable, Taken, read_receipt
from processing.uploads import Source
from rules.codes import FindingCode
from tests.processing.conftest import CAMPAIGN, GOOD, MakeSpool, let_in

SENDER = Sender(CAMPAIGN, Actor("user_1", "connection-1", "192.0.2.7"))
NAME = "陈's appointments, 12 März.csv"


async def receipt_in_bucket(store: S3ObjectStore, upload_id: str) -> Receipt:
    found = await store.head(original_key(CAMPAIGN, upload_id))
    receipt = read_receipt(found)
    assert receipt is not None
    return receipt


async def test_an_original_knows_what_its_row_knows(
    intake: Intake, make_spool: MakeSpool, store: S3ObjectStore, pool: Pool
) -> None:
    spool = make_spool(file_name=NAME)
    await intake.store(spool)
    row = await pool.fetchrow("select * from uploads where id = $1", spool.upload_id)
    assert row is not None
    receipt = await receipt_in_bucket(store, spool.upload_id)
    assert receipt == Receipt(
        spool.upload_id, CAMPAIGN, Source.SFTP, Taken.WHOLE, NAME, row["received_at"], row["modified_at"],
        "192.0.2.7", "connection-1",
    )  # fmt: skip
    found = await store.head(original_key(CAMPAIGN, spool.upload_id))
    assert (found.sha256, found.byte_count) == (row["sha256"], len(GOOD))


@pytest.mark.usefixtures("campaign")
async def test_an_original_knows_by_which_way_it_came(intake: Intake, store: S3ObjectStore) -> None:
    by_api, by_console = new_identifier("upload"), new_identifier("upload")
    content = io.BytesIO(GOOD)
    sha256 = await store.put("probes/x", content, download_name="x")
    await intake.store_awaited(
        AwaitedSpool(by_api, SENDER, Source.API, NAME, content, len(GOOD), sha256, 7, let_in, "user_2")
    )
    await intake.store_checked(
        CheckedSpool(by_console, SENDER, "user_1", NAME, content, len(GOOD), sha256, let_in)
    )
    found = [await receipt_in_bucket(store, upload_id) for upload_id in (by_api, by_console)]
    assert [(each.source, each.creator_id) for each in found] == [
        (Source.API, "user_2"),
        (Source.CONSOLE, "user_1"),
    ]


async def test_what_is_kept_of_an_interrupted_upload_says_so(
    intake: Intake, make_spool: MakeSpool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    refused = await intake.refuse(
        spool.sender, NAME, FindingCode.UPLOAD_INTERRUPTED, byte_count=len(GOOD), path=spool.path
    )
    assert refused is not None
    assert (await receipt_in_bucket(store, refused)).taken is Taken.INTERRUPTED


async def test_a_name_is_read_with_the_key_that_it_was_encrypted_with_alone(
    settings: Settings, store: S3ObjectStore
) -> None:
    keys = [SecretStr(base64.b64encode(secrets.token_bytes(32)).decode()) for _ in range(2)]
    ours, others = (settings.s3.model_copy(update={"name_key": key}) for key in keys)
    told = Description({"receipt": "1", "upload-id": "upload_1"}, {"file-name": NAME})
    async with open_store(ours) as sealing:
        await sealing.put("originals/c/1.csv", io.BytesIO(GOOD), download_name="x", description=told)
        assert (await sealing.head("originals/c/1.csv")).description == told
    answer = store._client.head_object(Bucket=settings.s3.bucket, Key="originals/c/1.csv")
    sealed = {name.lower(): value for name, value in answer["Metadata"].items()}["file-name"]
    assert base64.urlsafe_b64encode(NAME.encode()).decode()[:12] not in sealed
    async with open_store(others) as foreign:
        for reader in (foreign, store):
            with pytest.raises(ReceiptUnreadable):
                read_receipt(await reader.head("originals/c/1.csv"))
    # Beside another upload's facts it isn't read either.
    moved = Description({"receipt": "1", "upload-id": "upload_2"}, {})
    async with open_store(ours) as sealing:
        await sealing.put("originals/c/1.csv", io.BytesIO(GOOD), download_name="x", description=moved)
        metadata = {"receipt": "1", "upload-id": "upload_2", "file-name": sealed, "private": "file-name"}
        store._client.put_object(
            Bucket=settings.s3.bucket, Key="originals/c/1.csv", Body=GOOD, Metadata=metadata
        )
        assert (await sealing.head("originals/c/1.csv")).description.private == {}


async def test_an_object_of_others_has_no_receipt(store: S3ObjectStore) -> None:
    await store.put("originals/c/1.csv", io.BytesIO(GOOD), download_name="x")
    assert read_receipt(await store.head("originals/c/1.csv")) is None


async def test_an_original_that_its_sender_was_told_was_not_taken_is_marked(
    intake: Intake, make_spool: MakeSpool, store: S3ObjectStore
) -> None:
    async def refuse(_connection: Connection) -> Exception:
        return IntakeError("the key was revoked")

    spool = replace(make_spool(), find_unauthorized=refuse)
    with pytest.raises(IntakeError):
        await intake.store(spool)
    mark = await fetch_mark(store, CAMPAIGN, spool.upload_id)
    assert mark is not None
    assert mark.says is Marked.NOT_TAKEN
    assert datetime.now(UTC) - mark.at < timedelta(minutes=5)


async def test_all_objects_are_listed_a_page_at_a_time(store: S3ObjectStore) -> None:
    for number in range(3):
        await store.put(f"originals/c/{number}.csv", io.BytesIO(b"x"), download_name="x")
    await store.put("outcomes/c/3.json", io.BytesIO(b"x"), download_name="x")
    pages = [[each.key for each in page] async for page in store.list_pages("originals")]
    assert [key for page in pages for key in page] == [f"originals/c/{number}.csv" for number in range(3)]
