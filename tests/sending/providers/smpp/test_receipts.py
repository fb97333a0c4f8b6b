"""Receipts of every form that data/smpp.md names tell the same; what tells nothing is told from them."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from config.sending_sections import SMPPSettings
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.smpp.pdus import DeliverSM, Tag
from sending.providers.smpp.receipts import (
    ReceiptID,
    ReceiptOfPart,
    is_receipt,
    normal_id,
    parse_receipt,
)

NOW = datetime(2026, 11, 28, 4, 40, tzinfo=UTC)
STANDARD = (
    "id:0123456789 sub:001 dlvrd:001 submit date:2611280438 done date:2611280439 stat:{} err:{} text:Dear Tan"
)
E = ErrorCode
ERRORS = {"001": E.RECIPIENT_UNAVAILABLE.value, "4": E.RECIPIENT_INVALID.value}


def deliver(
    text: str | bytes = b"",
    tlvs: Mapping[Tag, bytes] | None = None,
    *,
    esm_class: int = 4,
    data_coding: int = 0,
) -> DeliverSM:
    octets = text if isinstance(text, bytes) else text.encode()
    return DeliverSM(
        9,
        "6591234567",
        "gov.sg",
        esm_class,
        data_coding,
        octets,
        {int(tag): value for tag, value in (tlvs or {}).items()},
    )


def parse(pdu: DeliverSM, form: ReceiptID = "as_is") -> ReceiptOfPart | None:
    return parse_receipt(pdu, form=form, errors=ERRORS, now=NOW)


def told(pdu: DeliverSM) -> tuple[MessageStatus, ErrorCode | None, str]:
    receipt = parse(pdu)
    assert receipt is not None
    return receipt.status, receipt.error, receipt.raw_code


FAILED = MessageStatus.FAILURE


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        ("ENROUTE", "000", (MessageStatus.SENT_TO_TELCO, None, "")),
        ("ACCEPTD", "000", (MessageStatus.SENT_TO_TELCO, None, "")),
        ("DELIVRD", "000", (MessageStatus.SUCCESS, None, "")),
        ("delivrd", "0", (MessageStatus.SUCCESS, None, "")),
        ("DELIVERED", "000", (MessageStatus.SUCCESS, None, "")),
        ("EXPIRED", "000", (FAILED, E.MESSAGE_EXPIRED, "stat 3")),
        ("DELETED", "000", (FAILED, E.DELIVERY_UNKNOWN_ERROR, "stat 4")),
        ("UNKNOWN", "000", (FAILED, E.DELIVERY_UNKNOWN_ERROR, "stat 7")),
        ("UNDELIV", "000", (FAILED, E.DELIVERY_UNKNOWN_ERROR, "stat 5")),
        ("UNDELIV", "001", (FAILED, E.RECIPIENT_UNAVAILABLE, "001")),
        ("UNDELIV", "1", (FAILED, E.RECIPIENT_UNAVAILABLE, "1")),
        ("UNDELIV", "004", (FAILED, E.RECIPIENT_INVALID, "004")),
        ("UNDELIV", "099", (FAILED, E.DELIVERY_UNKNOWN_ERROR, "099")),
        ("REJECTD", "000", (FAILED, E.ROUTING_ERROR, "stat 8")),
        ("REJECTD", "004", (FAILED, E.RECIPIENT_INVALID, "004")),
    ],
)
def test_each_state_has_its_meaning(
    state: str, error: str, expected: tuple[MessageStatus, ErrorCode | None, str]
) -> None:
    assert told(deliver(STANDARD.format(state, error))) == expected


@pytest.mark.parametrize(
    "text",
    [
        STANDARD.format("UNDELIV", "001"),
        "id:0123456789,sub:001,dlvrd:001,submit date:2611280438,done date:2611280439,stat:UNDELIV,err:001,text:",
        "id:0123456789;stat:UNDELIV;err:001;done date:2611280439",
        "ID:0123456789 SUB:001 DLVRD:001 SUBMIT DATE:2611280438 DONE DATE:261128043900 STAT:UNDELIV ERR:001 TEXT:",
        "id: 0123456789 stat: UNDELIV err: 001 done_date: 2611280439",
        'id:"0123456789" stat:"UNDELIV" err:"001" done date:"2611280439"',
        "sub:001 dlvrd:000 stat:UNDELIV err:001 donedate:2611280439 id:0123456789",
        STANDARD.format("UNDELIV", "001") + " id:666 stat:DELIVRD err:000",
    ],
)
def test_every_vendors_text_tells_the_same(text: str) -> None:
    assert parse(deliver(text)) == ReceiptOfPart(
        "123456789",
        FAILED,
        E.RECIPIENT_UNAVAILABLE,
        "001",
        "6591234567",
        datetime(2026, 11, 28, 4, 39, tzinfo=UTC),
    )


def test_a_field_without_a_value_doesnt_take_the_next_ones() -> None:
    assert told(deliver("id:7 done date: stat:UNDELIV err: text:001")) == (
        FAILED,
        E.DELIVERY_UNKNOWN_ERROR,
        "stat 5",
    )
    assert parse(deliver("id: stat:DELIVRD err:000")) is None


def test_parameters_go_before_the_text() -> None:
    tlvs = {
        Tag.RECEIPTED_MESSAGE_ID: b"ABC\0",
        Tag.MESSAGE_STATE: b"\2",
        Tag.NETWORK_ERROR_CODE: b"\3\0\0",
    }
    receipt = parse(deliver(STANDARD.format("UNDELIV", "001"), tlvs))
    assert receipt is not None
    assert (receipt.provider_id, receipt.status) == ("abc", MessageStatus.SUCCESS)
    bare = parse(deliver(b"", tlvs, esm_class=0))
    assert bare is not None
    assert (bare.provider_id, bare.status, bare.at) == ("abc", MessageStatus.SUCCESS, None)


@pytest.mark.parametrize("state", [b"\0", b"\x09", b"", b"\2\2"])
def test_a_parameter_without_a_state_leaves_the_text_to_tell_it(state: bytes) -> None:
    assert (
        told(deliver(STANDARD.format("EXPIRED", "000"), {Tag.MESSAGE_STATE: state}))[1] is E.MESSAGE_EXPIRED
    )


def test_the_networks_code_counts_where_the_table_explains_it_or_there_is_no_other() -> None:
    by_network = {Tag.NETWORK_ERROR_CODE: b"\3\0\4"}
    assert told(deliver(STANDARD.format("UNDELIV", "000"), by_network)) == (
        FAILED,
        E.RECIPIENT_INVALID,
        "004",
    )
    assert told(deliver(STANDARD.format("UNDELIV", "099"), by_network)) == (
        FAILED,
        E.RECIPIENT_INVALID,
        "004",
    )
    assert told(deliver(STANDARD.format("UNDELIV", "001"), by_network)) == (
        FAILED,
        E.RECIPIENT_UNAVAILABLE,
        "001",
    )


def test_a_receipt_may_be_written_in_ucs2_or_in_the_payload() -> None:
    text = STANDARD.format("DELIVRD", "000")
    assert told(deliver(text.encode("utf-16-be"), data_coding=8))[0] is MessageStatus.SUCCESS
    assert told(deliver(b"", {Tag.MESSAGE_PAYLOAD: text.encode()}))[0] is MessageStatus.SUCCESS


@pytest.mark.parametrize(
    ("form", "answered", "receipted"),
    [
        ("as_is", "00AbC1", "abc1"),
        ("as_is", "abc1", "00ABC1"),
        ("as_is", "0000", "0"),
        ("hex", "1234567890", "499602D2"),
        ("hex", "1234567890", "0x499602d2"),
        ("decimal", "499602D2", "1234567890"),
        ("decimal", "0499602d2", "01234567890"),
        ("hex", "550e8400-e29b", "550E8400-E29B"),
    ],
)
def test_ids_meet_in_whatever_form_a_receipt_writes_them(
    form: ReceiptID, answered: str, receipted: str
) -> None:
    receipt = parse(deliver(STANDARD.format("DELIVRD", "000").replace("0123456789", receipted)), form)
    assert receipt is not None
    assert receipt.provider_id == normal_id(answered)


def test_a_parameter_that_differs_from_the_text_has_the_answers_form() -> None:
    text = STANDARD.format("DELIVRD", "000").replace("0123456789", "499602D2")
    receipt = parse(deliver(text, {Tag.RECEIPTED_MESSAGE_ID: b"1234567890\0"}), "hex")
    assert receipt is not None
    assert receipt.provider_id == normal_id("1234567890")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "id:7",
        "stat:DELIVRD",
        "id:7 stat:MAYBE",
        "id:" + "x" * 65 + " stat:DELIVRD",
        "id:\x01 stat:DELIVRD",
    ],
)
def test_what_names_no_id_or_no_state_tells_nothing(text: str) -> None:
    assert parse(deliver(text)) is None


@pytest.mark.parametrize(
    ("esm_class", "is_one"), [(4, True), (0x20, True), (0x44, True), (0, False), (0x40, False), (8, False)]
)
def test_a_message_from_a_phone_is_no_receipt(esm_class: int, is_one: bool) -> None:
    assert is_receipt(deliver("id:7 stat:DELIVRD", esm_class=esm_class)) is is_one


@pytest.mark.parametrize(
    ("done", "at"),
    [
        # UTC, Singapore's clock, a clock that is a little fast, and what can't be.
        ("2611280439", datetime(2026, 11, 28, 4, 39, tzinfo=UTC)),
        ("2611281239", datetime(2026, 11, 28, 4, 39, tzinfo=UTC)),
        ("261128043959", datetime(2026, 11, 28, 4, 39, 59, tzinfo=UTC)),
        ("2611280445", NOW),
        ("2701010000", None),
        ("2601010000", None),
        ("2613990000", None),
        ("٢٦١١٢٨٠٤٣٩", None),
        ("", None),
    ],
)
def test_when_it_was_done_is_believed_where_it_can_be(done: str, at: datetime | None) -> None:
    text = STANDARD.format("DELIVRD", "000").replace("2611280439", done)
    receipt = parse(deliver(text.encode("utf-16-be"), data_coding=8))
    assert receipt is not None
    assert receipt.at == at


@pytest.mark.parametrize("source", ["+6591234567", "6591234567"])
def test_whom_it_was_for_is_digits(source: str) -> None:
    pdu = DeliverSM(9, source, "gov.sg", 4, 0, STANDARD.format("DELIVRD", "000").encode())
    receipt = parse(pdu)
    assert receipt is not None
    assert receipt.recipient == "6591234567"
    assert "6591234567" not in repr(receipt)


def test_the_table_of_the_settings_takes_only_codes_that_we_have() -> None:
    with pytest.raises(ValueError, match="errors"):
        SMPPSettings(errors={"001": "no_such_code"})  # type: ignore[dict-item]
