"""Statuses and errors are explained by one table, and the agency guide has the same words."""

import re
from pathlib import Path

from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS
from messages.statuses import ErrorCode, MessageStatus

GUIDE = (Path(__file__).parents[2] / "docs" / "agency-guide.md").read_text(encoding="utf-8")


def test_each_status_and_error_has_its_meaning() -> None:
    assert list(STATUS_MEANINGS) == list(MessageStatus)
    assert list(ERROR_MEANINGS) == list(ErrorCode)
    # 1-postman.md §5.
    worth = {code.value: meaning.worth_retrying for code, meaning in ERROR_MEANINGS.items()}
    assert worth["recipient_unavailable"] == "yes"
    assert (worth["recipient_invalid"], worth["content_invalid"], worth["stopped"]) == ("no", "no", "no")


def test_the_agency_guide_says_the_same() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", GUIDE.partition("## 8.")[2], re.MULTILINE)
    statuses = [(status.word, meaning) for status, meaning in STATUS_MEANINGS.items()]
    errors = [
        (code.value, f"{meaning.meaning} | {meaning.worth_retrying}: {meaning.advice}")
        for code, meaning in ERROR_MEANINGS.items()
    ]
    assert rows == statuses + errors
