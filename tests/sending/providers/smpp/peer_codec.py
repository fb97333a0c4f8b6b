"""Messages by a seed, written and read by smpplib 2.2.4, whose codec nobody here wrote."""

import random
from typing import Any, Final

from smpplib import consts, smpp

from sending.providers.smpp.pdus import SubmitSM, Tag

_ADDRESS: Final = "0123456789"
_SENDERS: Final = ("gov.sg", "Postman", "71234", "6591234567", "A")
_LETTERS: Final = "0123456789abcdefABCDEF-"


class Client:
    """What smpplib asks for a sequence number."""

    sequence = 1

    def next_sequence(self) -> int:
        return self.sequence


def random_submission(source: random.Random) -> SubmitSM:
    """A submission with whatever an adapter may put into it."""
    tlvs: dict[int, bytes] = {}
    text = source.randbytes(source.randrange(0, 255))
    if source.random() < 0.3:
        tlvs |= {
            Tag.SAR_MSG_REF_NUM: source.randbytes(2),
            Tag.SAR_TOTAL_SEGMENTS: source.randbytes(1),
            Tag.SAR_SEGMENT_SEQNUM: source.randbytes(1),
        }
    if source.random() < 0.2:
        text, tlvs = b"", {**tlvs, Tag.MESSAGE_PAYLOAD: source.randbytes(source.randrange(1, 2000))}
    return SubmitSM(
        sequence=source.randrange(1, 0x7FFFFFFF),
        source=(source.randrange(7), source.randrange(19), source.choice(_SENDERS)),
        destination=(1, 1, "".join(source.choices(_ADDRESS, k=source.randrange(1, 21)))),
        short_message=text,
        data_coding=source.choice((0, 3, 8)),
        esm_class=source.choice((0, 0x40)),
        registered_delivery=source.choice((1, 0x11)),
        validity_period=source.choice(("", "000002000000000R")),
        tlvs=tlvs,
    )


def read_by_smpplib(frame: bytes) -> Any:
    """The PDU as smpplib reads it."""
    return smpp.parse_pdu(frame, client=Client(), allow_unknown_opt_params=True)


def fields_of(pdu: Any) -> tuple[object, ...]:
    """What smpplib has read of a submission, in the order of SubmitSM's fields."""
    tlvs: dict[int, bytes] = {}
    for tag, name, size in (
        (Tag.SAR_MSG_REF_NUM, "sar_msg_ref_num", 2),
        (Tag.SAR_TOTAL_SEGMENTS, "sar_total_segments", 1),
        (Tag.SAR_SEGMENT_SEQNUM, "sar_segment_seqnum", 1),
    ):
        if (number := getattr(pdu, name)) is not None:
            tlvs[tag] = number.to_bytes(size, "big")
    if pdu.message_payload is not None:
        tlvs[Tag.MESSAGE_PAYLOAD] = pdu.message_payload
    return (
        pdu.sequence,
        (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr.decode()),
        (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr.decode()),
        pdu.short_message or b"",
        pdu.data_coding,
        pdu.esm_class,
        pdu.registered_delivery,
        pdu.validity_period.decode(),
        tlvs,
    )


def random_receipt(source: random.Random) -> tuple[bytes, dict[str, object]]:
    """A deliver_sm as smpplib writes it, and what it was made of."""
    fields: dict[str, object] = {
        "sequence": source.randrange(1, 0x7FFFFFFF),
        "source_addr": "".join(source.choices(_ADDRESS, k=source.randrange(0, 21))),
        "destination_addr": source.choice(_SENDERS),
        "esm_class": source.choice((0, 4, 0x20, 0x40)),
        "data_coding": source.choice((0, 3, 8)),
        "short_message": source.randbytes(source.randrange(1, 255)),
    }
    optional: dict[str, object] = {}
    if source.random() < 0.5:
        optional = {
            "receipted_message_id": "".join(source.choices(_LETTERS, k=source.randrange(1, 60))),
            "message_state": source.randrange(1, 9),
        }
    pdu = smpp.make_pdu("deliver_sm", client=Client(), **fields, **optional)
    return pdu.generate(), fields | optional


def random_answer(source: random.Random) -> tuple[bytes, int, str]:
    """A submit_sm_resp as smpplib writes it, its sequence number and its id."""
    given = "".join(source.choices(_LETTERS, k=source.randrange(1, 64)))
    pdu = smpp.make_pdu("submit_sm_resp", client=Client(), message_id=given, status=consts.SMPP_ESME_ROK)
    pdu.sequence = source.randrange(1, 0x7FFFFFFF)
    return pdu.generate(), pdu.sequence, given
