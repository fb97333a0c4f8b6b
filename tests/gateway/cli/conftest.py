"""Campaigns, uploads and batches for the tests of the command line, which call it in this process: `call`, `admin`."""

import asyncio
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import pytest

from config.sections import S3Settings
from processing.object_store import open_store
from tests.gateway.conftest import Answer, Call

__all__ = ["Answer", "Call", "Database"]


@pytest.fixture
def campaign_id(admin: Call) -> str:
    """A campaign, created at the command line."""
    answer = admin(
        "campaign", "create", "--name", "Clinic reminders", "--notify", "ops@clinic.gov.sg",
        "--template", "english=Dear {{name}}, your visit is on {{date}}.",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    return answer.out.strip()


REPORT = b'\xef\xbb\xbfrecipient,language,name,Error Reason\r\n+6591234567,english,Tan,"remove the +"\r\n'


FRAME = {"before": "Clinic\n\n---\n\n", "after": {"english": "\n\n---\n\nBye."}}


class Database:
    """This test's database, asked from a test without a loop."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, statement: str, *values: object) -> list[Any]:
        """Run one statement; its rows."""

        async def ask() -> list[Any]:
            connection = await asyncpg.connect(self._url)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def insert_upload(self, campaign_id: str, upload_id: str, **columns: object) -> str:
        """A row of `uploads`: received, unless its columns say otherwise."""
        row: dict[str, object] = {
            "id": upload_id,
            "campaign_id": campaign_id,
            "file_name": "clinic.csv",
            "status": "received",
            "bytes": 1234,
            "report_name": "r" * 22,
            "received_at": datetime(2026, 11, 22, 6, 5, 4, 321000, tzinfo=UTC),
            **columns,
        }
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        self.run(f"insert into uploads ({', '.join(row)}) values ({places})", *row.values())
        return upload_id

    def insert_batch(
        self, campaign_id: str, batch_id: str, messages: Sequence[Mapping[str, object]], **columns: object
    ) -> int:
        """A batch and its messages, rows 2, 3, …, as an accepted upload leaves them; returns its number.

        A message's `attempts` are columns of rows of `attempts`, oldest first. The batch's counts must be given.
        """
        row: dict[str, object] = {
            "id": batch_id,
            "campaign_id": campaign_id,
            "original_file_name": "clinic.csv",
            "total_messages": len(messages),
            "frame": json.dumps(FRAME),
            "created_at": datetime(2026, 11, 22, 6, 5, 4, 321987, tzinfo=UTC),
            **columns,
        }
        number = self._insert("batches", row, returning="batch_no")
        for place, message in enumerate(messages, start=2):
            own = {
                "recipient": "6591234567",
                "language": "english",
                "values": json.dumps({"date": "1 May", "name": "Tan"}),
                "segments": 1,
                "encoding": "GSM-7",
                "created_at": row["created_at"],
                **message,
            }
            attempts = cast("Sequence[Mapping[str, object]]", own.pop("attempts", ()))
            key = {"batch_no": number, "row_number": place}
            self._insert("messages", {**key, **own})
            for attempt, its in enumerate(attempts, start=1):
                self._insert("attempts", {**key, "attempt": attempt, **its})
        return int(number)

    def _insert(self, table: str, row: Mapping[str, object], *, returning: str = "1") -> Any:
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        names = ", ".join(f'"{name}"' for name in row)
        [inserted] = self.run(
            f"insert into {table} ({names}) values ({places}) returning {returning}", *row.values()
        )
        return inserted[0]


@pytest.fixture
def database(database_url: str) -> Database:
    """This test's database."""
    return Database(database_url)


@pytest.fixture
def upload_with_report(campaign_id: str, database: Database, s3_settings: S3Settings) -> str:
    """A rejected upload, its report in the bucket."""
    key = f"validation-reports/{campaign_id}/{'r' * 22}.csv"

    async def put() -> None:
        async with open_store(s3_settings) as store:
            await store.put(key, io.BytesIO(REPORT), download_name="validation-report.csv")

    asyncio.run(put())
    return database.insert_upload(
        campaign_id, "upload_rejected", status="rejected", report_key=key, num_rows=1, num_errors=1,
        finished_at=datetime(2026, 11, 22, 6, 5, 6, tzinfo=UTC), outcome=1,
    )  # fmt: skip
