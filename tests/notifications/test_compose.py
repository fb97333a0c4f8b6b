"""What the e-mails say is what the guide says, to the letter (1-postman.md §2)."""

import json

import pytest

from notifications.compose import (
    compose_accepted,
    compose_failed,
    compose_rejected,
    compose_subject,
    escape_controls,
)


def test_an_accepted_body_is_the_guides() -> None:
    assert compose_accepted("batch_1") == '{"isValid":true,"batchId":"batch_1"}'


def test_an_offline_verdict_has_no_batch() -> None:
    assert compose_accepted(None) == '{"isValid":true,"batchId":null}'


def test_a_rejected_body_has_the_guides_keys_in_the_guides_order() -> None:
    body = compose_rejected(
        report_url="https://files.postman.gov.sg/validation-reports/c/r.csv",
        num_rows=4,
        num_errors=5,
        has_avoidable=True,
        has_unicode=False,
        error_reason=None,
    )
    assert body == (
        '{"isValid":false,"reportURL":"https://files.postman.gov.sg/validation-reports/c/r.csv","numRows":4,'
        '"numErrors":5,"fileHasAvoidableExpensiveCharacter":true,"fileHasUnicode":false}'
    )


def test_a_finding_about_the_whole_file_comes_last_and_stays_on_one_line() -> None:
    reason = 'the column "topic\u2028\n" is missing'
    body = compose_rejected(
        report_url=None, num_rows=0, num_errors=1, has_avoidable=False, has_unicode=False, error_reason=reason
    )
    assert list(json.loads(body)) == [
        "isValid",
        "reportURL",
        "numRows",
        "numErrors",
        "fileHasAvoidableExpensiveCharacter",
        "fileHasUnicode",
        "errorReason",
    ]
    assert json.loads(body)["errorReason"] == reason
    assert len(body.splitlines()) == 1


def test_a_failed_body_is_the_guides() -> None:
    assert compose_failed("FILE.csv", "CAMPAIGN_ID", "S-1") == (
        "Your SFTP file upload for FILE.csv for CAMPAIGN_ID failed. "
        "Please contact us with the following support ID:S-1."
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("plain.csv", "plain.csv", id="plain"),
        pytest.param("名单.csv", "名单.csv", id="chinese"),
        pytest.param("a\r\nBcc: x.csv", "a\\u000d\\u000aBcc: x.csv", id="header-injection"),
        pytest.param("a\u202excsv", "a\\u202excsv", id="reading-direction"),
        pytest.param("a\u061c.csv", "a\\u061c.csv", id="arabic-letter-mark"),
        pytest.param("a\x85b\u2028.csv", "a\\u0085b\\u2028.csv", id="line-separators"),
    ],
)
def test_control_characters_are_escaped(name: str, shown: str) -> None:
    assert escape_controls(name) == shown
    assert compose_subject("accepted", name, "Clinic") == f"SFTP upload accepted: {shown} (Clinic)"
