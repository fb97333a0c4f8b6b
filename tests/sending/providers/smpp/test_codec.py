"""The codec agrees with smpplib's in both directions, and cuts a stream of PDUs wherever its pieces end."""

import dataclasses
import random

import pytest

from sending.providers.smpp.pdus import (
    PDU,
    Answer,
    Bind,
    Command,
    DeliverSM,
    Frames,
    PDUMalformed,
    SubmitSM,
    Tag,
    decode,
    encode,
)
from tests.sending.providers.smpp.peer_codec import (
    fields_of,
    random_answer,
    random_receipt,
    random_submission,
    read_by_smpplib,
)

# Together 10,000 messages.
SUBMISSIONS, RECEIPTS, ANSWERS = 4_000, 4_000, 2_000


def test_smpplib_reads_what_is_submitted() -> None:
    source = random.Random(34)
    for _ in range(SUBMISSIONS):
        written = random_submission(source)
        frame = encode(written)
        as_tuple = tuple(getattr(written, field.name) for field in dataclasses.fields(written))
        assert fields_of(read_by_smpplib(frame)) == as_tuple
        assert decode(frame) == written


def test_what_smpplib_writes_as_a_receipt_is_read() -> None:
    source = random.Random(35)
    for _ in range(RECEIPTS):
        frame, fields = random_receipt(source)
        read = decode(frame)
        assert isinstance(read, DeliverSM)
        assert (read.source, read.destination) == (fields["source_addr"], fields["destination_addr"])
        assert (read.esm_class, read.data_coding) == (fields["esm_class"], fields["data_coding"])
        assert read.short_message == fields["short_message"]
        if "receipted_message_id" in fields:
            given = read.tlvs[Tag.RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode()
            assert given == fields["receipted_message_id"]
            assert list(read.tlvs[Tag.MESSAGE_STATE]) == [fields["message_state"]]


def test_what_smpplib_writes_as_an_answer_is_read() -> None:
    source = random.Random(36)
    for _ in range(ANSWERS):
        frame, sequence, given = random_answer(source)
        assert decode(frame) == Answer(Command.SUBMIT_SM_RESP, sequence, 0, given)


def test_smpplib_reads_a_bind_and_what_has_no_body() -> None:
    bind = read_by_smpplib(encode(Bind(7, "gateway", "secret08", "VMA")))
    assert (bind.command, bind.sequence) == ("bind_transceiver", 7)
    assert (bind.system_id, bind.password, bind.system_type) == (b"gateway", b"secret08", b"VMA")
    assert bind.interface_version == 0x34
    for command in (Command.ENQUIRE_LINK, Command.ENQUIRE_LINK_RESP, Command.UNBIND, Command.UNBIND_RESP):
        read = read_by_smpplib(encode(PDU(command, 9)))
        assert (read.command, read.sequence) == (command.name.lower(), 9)
    acknowledged = read_by_smpplib(encode(Answer(Command.DELIVER_SM_RESP, 11, 0)))
    assert (acknowledged.command, acknowledged.status, acknowledged.sequence) == ("deliver_sm_resp", 0, 11)


@pytest.mark.parametrize("body", [b"", b"\0", b"abc\0", b"abc"])
def test_an_answer_that_refuses_may_have_a_body_or_not(body: bytes) -> None:
    frame = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("80000004 00000058 00000003") + body
    answer = decode(frame)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.sequence, answer.name) == (0x58, 3, body.rstrip(b"\0").decode())


def test_a_stream_is_cut_into_pdus_wherever_its_pieces_end() -> None:
    source = random.Random(37)
    written = [random_submission(source) for _ in range(50)]
    stream = b"".join(map(encode, written))
    for most in (1, 3, 100, 5_000):
        frames, read, at = Frames(), [], 0
        while at < len(stream):
            size = source.randrange(1, most + 1)
            read += [decode(frame) for frame in frames.take(stream[at : at + size])]
            at += size
        assert read == written


@pytest.mark.parametrize("length", [0, 15, 64 * 1024 + 1, 0xFFFFFFFF])
def test_a_length_that_no_pdu_has_ends_the_stream(length: int) -> None:
    with pytest.raises(PDUMalformed):
        list(Frames().take(length.to_bytes(4, "big") + bytes(12)))


def test_what_is_left_behind_the_parameters_and_is_none_is_ignored() -> None:
    message = SubmitSM(
        1, (5, 0, "gov.sg"), (1, 1, "6591234567"), b"x", 0, tlvs={Tag.SAR_MSG_REF_NUM: b"\0\7"}
    )
    # A parameter that says to be longer than the PDU, and padding.
    for rest in (b"\x04\x27\0\5\2", b"\0\0"):
        frame = encode(message) + rest
        assert decode(len(frame).to_bytes(4, "big") + frame[4:]) == message


def test_what_is_cut_off_inside_is_malformed_and_says_whose_it_is() -> None:
    whole = encode(random_submission(random.Random(38)))
    cut = (40).to_bytes(4, "big") + whole[4:40]
    with pytest.raises(PDUMalformed) as raised:
        decode(cut)
    assert raised.value.sequence == int.from_bytes(whole[12:16], "big")


@pytest.mark.parametrize("field", [{"short_message": bytes(255)}, {"source": (5, 0, "x" * 21)}])
def test_a_field_that_is_too_long_is_not_cut_silently(field: dict[str, object]) -> None:
    message = SubmitSM(1, (5, 0, "gov.sg"), (1, 1, "6591234567"), b"", 0)
    with pytest.raises(ValueError, match="octets at most"):
        encode(dataclasses.replace(message, **field))  # type: ignore[arg-type]


def test_neither_password_nor_number_nor_text_is_in_a_repr() -> None:
    shown = repr(Bind(1, "gateway", "secret08")) + repr(
        SubmitSM(
            1, (5, 0, "gov.sg"), (1, 1, "6591234567"), b"body", 0, tlvs={Tag.MESSAGE_PAYLOAD: b"payload"}
        )
    )
    assert not any(secret in shown for secret in ("secret08", "6591234567", "body", "payload"))
