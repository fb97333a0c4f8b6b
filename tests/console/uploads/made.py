"""Uploads as rows, for pages to show."""

import io
import itertools
import json
from datetime import UTC, datetime, timedelta

from campaigns.campaigns import fetch_known_campaign
from config.environment import Environment
from config.identifiers import new_identifier
from config.settings import Settings
from database.connections import Connection
from processing.object_store import open_store, report_key
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules

_numbers = itertools.count()
_BEGAN = datetime(2026, 11, 1, 8, tzinfo=UTC)


async def add_upload(
    connection: Connection,
    campaign_id: str,
    file_name: str = "file.csv",
    status: str = "received",
    **columns: object,
) -> str:
    """An upload, received a minute after the one made before it; `columns` are further ones of its row. Its id."""
    upload_id = new_identifier("upload")
    received_at = columns.pop("received_at", None) or _BEGAN + timedelta(minutes=next(_numbers))
    values: dict[str, object] = {
        "id": upload_id,
        "campaign_id": campaign_id,
        "file_name": file_name,
        "status": status,
        "bytes": 1234,
        "report_name": "0" * 32,
        "received_at": received_at,
        "finished_at": None if status in {"received", "validating"} else received_at,
        "sha256": "ab" * 32,
    }
    if status == "accepted":
        values |= {"batch_id": new_identifier("batch"), "total_messages": 1204}
    if status == "failed":
        values |= {"support_id": "S-0123456789AB"}
    if status == "rejected":
        values |= {"num_rows": 9, "num_errors": 12}
    values |= columns
    names = ", ".join(values)
    marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    given = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
    await connection.execute(f"insert into uploads ({names}) values ({marks})", *given)
    return upload_id


async def add_connected(
    connection: Connection, campaign_id: str, receiving_bytes: int | None = 1_500_000
) -> None:
    """A client that is connected by SFTP, as a front of another node tells of it."""
    await connection.execute(
        "insert into sftp_sessions (connection_id, campaign_id, source_address, receiving_bytes)"
        " values ($1, $2, '192.0.2.7', $3)",
        new_identifier("connection"),
        campaign_id,
        receiving_bytes,
    )


async def add_rejected(
    connection: Connection,
    settings: Settings,
    campaign_id: str,
    data: str,
    file_name: str = "bad.csv",
    **columns: object,
) -> str:
    """An upload that was judged and rejected, with its report in the bucket. Its id."""
    campaign = await fetch_known_campaign(connection, campaign_id)
    report = io.BytesIO()
    verdict = judge(
        io.BytesIO(data.encode()),
        Rules(campaign.template, Environment.PRODUCTION),
        messages=None,
        report=report,
    )
    assert verdict.report_written
    key = report_key(campaign_id, new_identifier("report"))
    async with open_store(settings.s3) as store:
        await store.put(key, report, download_name="validation-report.csv")
    return await add_upload(
        connection, campaign_id, file_name, "rejected", report_key=key, num_rows=verdict.num_rows,
        num_errors=verdict.num_errors, error_reason=verdict.error_reason, **columns,
    )  # fmt: skip
