"""What the e-mails say: subject and body of each outcome, to the letter of the guide. Pure.

The bodies are those of the guide's page "Checking the status of your SFTP upload" (1-postman.md §2).
"""

import json
import re
from typing import Final

from rules.characters.code_points import DECEIVING, LINE_SEPARATORS, python_class

_DECEIVING: Final = re.compile(python_class(DECEIVING))
# JSON leaves these as they are, and some mail readers break the line there.
_BREAKS_LEFT_BY_JSON: Final = re.compile(python_class(LINE_SEPARATORS | {"\N{NEXT LINE}"}))
_SUBJECT_NAME_LENGTH: Final = 120


def compose_accepted(batch_id: str | None) -> str:
    """The body of an accepted upload's e-mail. Only an offline verdict has no `batch_id`."""
    return _one_line({"isValid": True, "batchId": batch_id})


def compose_rejected(
    *,
    report_url: str | None,
    num_rows: int,
    num_errors: int,
    has_avoidable: bool,
    has_unicode: bool,
    error_reason: str | None,
) -> str:
    """The body of a rejected upload's e-mail. `num_rows` counts the rows with findings.

    `error_reason` is the text of a finding about the whole file.
    """
    body: dict[str, object] = {
        "isValid": False,
        "reportURL": report_url,
        "numRows": num_rows,
        "numErrors": num_errors,
        "fileHasAvoidableExpensiveCharacter": has_avoidable,
        "fileHasUnicode": has_unicode,
    }
    if error_reason is not None:
        body["errorReason"] = error_reason
    return _one_line(body)


def compose_failed(file_name: str, campaign_id: str, support_id: str) -> str:
    """The body of the e-mail about an upload that failed inside the service."""
    return (
        f"Your SFTP file upload for {escape_controls(file_name)} for {campaign_id} failed. "
        f"Please contact us with the following support ID:{support_id}."
    )


def compose_subject(status: str, file_name: str, campaign_name: str) -> str:
    """The subject, such as `SFTP upload accepted: appointments.csv (Clinic reminders)`."""
    shown_file = escape_controls(file_name)[:_SUBJECT_NAME_LENGTH]
    shown_campaign = escape_controls(campaign_name)[:_SUBJECT_NAME_LENGTH]
    return f"SFTP upload {status}: {shown_file} ({shown_campaign})"


def escape_controls(text: str) -> str:
    """`text` with what could start a line or turn the reading direction written as \\u escapes."""
    return _DECEIVING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _one_line(body: dict[str, object]) -> str:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return _BREAKS_LEFT_BY_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
