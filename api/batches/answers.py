"""What a batch send is answered, once its upload has its outcome: keys and their order are the contract's. Pure."""

import json

from processing.awaited.uploads import AwaitedOutcome, ToldFinding
from processing.uploads import UploadStatus


def final_answer(outcome: AwaitedOutcome) -> tuple[int, bytes] | None:
    """Status and body, which the same request gets again under its Idempotency-Key. None where nothing was decided."""
    match outcome.status:
        case UploadStatus.ACCEPTED:
            return 201, _json({"isValid": True, "batchId": outcome.batch_id})
        case UploadStatus.REJECTED:
            return 400, _json(_refusal(outcome))
        case _:
            return None


def _refusal(outcome: AwaitedOutcome) -> dict[str, object]:
    """The keys of the e-mail of SFTP, and then the first findings."""
    refusal: dict[str, object] = {
        "isValid": False,
        "reportURL": outcome.report_link,
        "numRows": outcome.num_rows,
        "numErrors": outcome.num_errors,
        "fileHasAvoidableExpensiveCharacter": outcome.has_avoidable,
        "fileHasUnicode": outcome.has_unicode,
    }
    if outcome.error_reason is not None:
        refusal["errorReason"] = outcome.error_reason
    refusal["errors"] = [_finding(finding) for finding in outcome.findings]
    return refusal


def _finding(finding: ToldFinding) -> dict[str, object]:
    return {"row": finding.row, "column": finding.column, "code": finding.code, "text": finding.text}


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
