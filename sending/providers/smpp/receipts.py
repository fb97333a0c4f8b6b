"""What a deliver_sm tells of a part that was sent: by its optional parameters, else by its text, of which there are many kinds.

Pure. Only what has the right form is believed; a receipt that names no id, or no state that anybody knows, tells nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from messages.statuses import ErrorCode, MessageStatus
from sending.providers.smpp.codes import state_number, state_of
from sending.providers.smpp.pdus import DeliverSM, Tag

ReceiptID = Literal["as_is", "hex", "decimal"]

# §5.2.12: esm_class of a receipt, and of an intermediate notification.
_KIND: Final = 0x3C
_RECEIPTS: Final = frozenset({0x04, 0x20})
# `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…` (Appendix B); some part the fields by commas.
_FIELD: Final = re.compile(r"(?i)(?:^|[\s,;])(id|stat|err|done[ _]?date)\s*[:=]\s*([^\s,;]*)")
_ID: Final = re.compile(r"[!-~]{1,64}")
_CODE: Final = re.compile(r"[0-9A-Za-z]{1,16}")
_TIME: Final = re.compile(r"\d{10}(?:\d\d)?", re.ASCII)
# So far the aggregator's clock is believed.
_CLOCK_OFF: Final = timedelta(minutes=10)
_LONGEST_AGO: Final = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class ReceiptOfPart:
    """A receipt. `provider_id` is in the form in which ids are compared, see `normal_id`; `recipient`: digits, or empty."""

    provider_id: str
    status: MessageStatus
    error: ErrorCode | None
    raw_code: str
    recipient: str = field(repr=False)
    at: datetime | None


def is_receipt(pdu: DeliverSM) -> bool:
    """Whether a deliver_sm is a receipt, and not a message from a phone."""
    return pdu.esm_class & _KIND in _RECEIPTS or Tag.RECEIPTED_MESSAGE_ID in pdu.tlvs


def parse_receipt(
    pdu: DeliverSM, *, form: ReceiptID, errors: Mapping[str, str], now: datetime
) -> ReceiptOfPart | None:
    """What a receipt tells, or None where it tells nothing to us. `form`: how receipts write ids; `now` is aware UTC."""
    text = _text_of(pdu)
    fields = {name.lower().replace("_", " "): value for name, value in reversed(_FIELD.findall(text))}
    by_tlv = pdu.tlvs.get(Tag.RECEIPTED_MESSAGE_ID)
    in_text = fields.get("id", "")
    given = in_text if by_tlv is None else by_tlv.rstrip(b"\0").decode("latin-1")
    if not _ID.fullmatch(given):
        return None
    state = _state_in(pdu, fields)
    code = _error_code_in(pdu, fields)
    meaning = None if state is None else state_of(state, code, errors)
    if meaning is None:
        return None
    failed = meaning.status is MessageStatus.FAILURE
    recipient = pdu.source.lstrip("+")
    return ReceiptOfPart(
        # Where the parameter and the text differ, the parameter has the answer's own form.
        provider_id=normal_id(given, form if given == in_text else "as_is"),
        status=meaning.status,
        error=meaning.error,
        raw_code=(code or f"stat {state}") if failed else "",
        recipient=recipient if recipient.isascii() and recipient.isdigit() and len(recipient) <= 20 else "",
        at=_done_at(fields.get("done date") or fields.get("donedate") or "", now),
    )


def normal_id(given: str, form: ReceiptID = "as_is") -> str:
    """An id in the form in which those of answers and of receipts are compared: case and zeros in front don't count.

    `form` is how this id is written beside how answers write theirs: a receipt's `hex` number is told decimal by the answer, and
    the other way round. What is no such number is left as it is.
    """
    text = given.strip().lower()
    try:
        if form == "hex":
            return str(int(text, 16))
        if form == "decimal":
            return f"{int(text, 10):x}"
    except ValueError:
        pass
    return text.lstrip("0") or "0"


def _text_of(pdu: DeliverSM) -> str:
    octets = pdu.short_message or pdu.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")
    if pdu.data_coding == 8:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _state_in(pdu: DeliverSM, fields: Mapping[str, str]) -> int | None:
    by_tlv = pdu.tlvs.get(Tag.MESSAGE_STATE, b"")
    if len(by_tlv) == 1:
        return by_tlv[0]
    return state_number(fields.get("stat", ""))


def _error_code_in(pdu: DeliverSM, fields: Mapping[str, str]) -> str:
    """The aggregator's own code. The text's is what its table lists; without one, the network's code in the parameter."""
    code = fields.get("err", "")
    if _CODE.fullmatch(code) and code.strip("0"):
        return code
    by_tlv = pdu.tlvs.get(Tag.NETWORK_ERROR_CODE, b"")
    number = int.from_bytes(by_tlv[1:3], "big") if len(by_tlv) == 3 else 0
    return f"{number:03}" if number else ""


def _done_at(text: str, now: datetime) -> datetime | None:
    """When it was done, YYMMDDhhmm with or without seconds. It has no zone: UTC or Singapore's, whichever was lately."""
    if not _TIME.fullmatch(text):
        return None
    try:
        at = datetime.strptime(text, "%y%m%d%H%M%S" if len(text) == 12 else "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    for told in (at, at - timedelta(hours=8)):
        if now - _LONGEST_AGO <= told <= now + _CLOCK_OFF:
            return min(told, now)
    return None
