"""Ids of messages and attempts, as 8-api.md §1 and 7-sending.md §7 have them."""

import pytest

from messages.identifiers import MessageKey, attempt_id, message_id, parse_message_id

BATCH = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"


def test_a_message_id_is_the_guides_and_leads_back_to_its_row() -> None:
    assert message_id(BATCH, 3) == "message_0d9c31e2-4b7f-8c58-9a61-7e2000000003"
    assert parse_message_id(message_id(BATCH, 3)) == MessageKey("0d9c31e2-4b7f-c58-9a61-7e20", 3)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("message_0d9c31e2-4b7f-4c58-9a61-7e2000000003", id="of another version"),
        pytest.param("message_0D9C31E2-4B7F-8C58-9A61-7E2000000003", id="in capitals"),
        pytest.param("message_0d9c31e2-4b7f-8c58-9a61-7e2000000000", id="row 0"),
        pytest.param("batch_0d9c31e2-4b7f-8c58-9a61-7e2000000003", id="a batch's"),
        pytest.param("", id="empty"),
    ],
)
def test_what_has_not_the_form_names_no_message(text: str) -> None:
    assert parse_message_id(text) is None


def test_each_attempt_has_an_id_of_its_own() -> None:
    assert attempt_id(BATCH, 3, 1) == "message-attempt_0d9c31e2-4b7f-8c58-9a61-7e2001000003"
    assert len({attempt_id(BATCH, row, attempt) for row in (2, 3) for attempt in (1, 2, 255)}) == 6
    for row, attempt in ((0, 1), (2**24, 1), (3, 0), (3, 256)):
        with pytest.raises(ValueError, match="24 bits"):
            attempt_id(BATCH, row, attempt)
