"""The e-mail that counts: refusals beyond the hour's single e-mails are summed up in one."""

from database.connections import Connection
from notifications.notifications import Rejected, record_notification
from processing import uploads
from rules.codes import FindingCode
from rules.texts import file_reason


async def send_refusal_summary(connection: Connection, campaign_id: str) -> None:
    """Write one notification, on the latest of the campaign's untold refusals, that says how many there were."""
    untold = await connection.fetch(uploads.SQL["take_untold"], campaign_id)
    if not untold:
        return
    latest = max(untold, key=lambda row: (row["received_at"], row["id"]))
    reason = (
        f"{file_reason(FindingCode.FILE_NOT_CSV)}; this e-mail stands for {len(untold)} uploads "
        "refused for this reason, of which this was the last"
    )
    outcome = Rejected(None, 0, len(untold), has_avoidable=False, has_unicode=False, error_reason=reason)
    await record_notification(connection, latest["id"], 1, outcome)
