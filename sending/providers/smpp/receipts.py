"""What a deliver_sm tells of a part that was sent: by its optional parameters, else by its text, of which there are many kinds.

Pure. Only what has the right form is believed; a receipt that names no id, or no state that anybody knows, tells nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from messages.statuses import ErrorCode, MessageStatus
from sending.providers.smpp.codes import by_table, state_number, state_of
from sending.providers.smpp.pdus import DeliverSM, Tag

ReceiptID = Literal["as_is", "hex", "decimal"]

# §5.2.12: esm_class of a receipt, and of an intermediate notification.
_KIND: Final = 0x3C
_RECEIPTS: Final = frozenset({0x04, 0x20})
# `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…` (Appendix B); some part the fields by commas.
# A field may be empty: what follows then is the next one.
_FIELD: Final = re.compile(
    r"(?i)(?:^|[\s,;])(id|stat|err|done[ _]?date)\s?[:=]\s?(?!\w+(?: date)?:)\"?([^\s,;\"]*)"
)
_ID: Final = re.compile(r"[!-~]{1,64}")
_HEX: Final = re.compile(r"(?:0x)?[0-9a-f]+")
_DECIMAL: Final = re.compile(r"[0-9]+")
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
    fields = {
        name.lower().replace("_", "").replace(" ", ""): value
        for name, value in reversed(_FIELD.findall(text))
    }
    in_text = fields.get("id", "")
    given = pdu.tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"").partition(b"\0")[0].decode("latin-1").strip()
    given = given or in_text
    if not is_id(given):
        return None
    codes = _error_codes_in(pdu, fields)
    # The one that the aggregator's table explains, else its own before the network's.
    code = next((code for code in codes if by_table(code, errors) is not None), codes[0] if codes else "")
    for state in _states_in(pdu, fields):
        meaning = state_of(state, code, errors)
        if meaning is not None:
            break
    else:
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
        at=_done_at(fields.get("donedate", ""), now),
    )


def is_id(given: str) -> bool:
    """Whether this can be a message's id."""
    return _ID.fullmatch(given) is not None


def normal_id(given: str, form: ReceiptID = "as_is") -> str:
    """An id in the form in which those of answers and of receipts are compared: case and zeros in front don't count.

    `form` is how this id is written beside how answers write theirs: a receipt's `hex` number is told decimal by the answer, and
    the other way round. What is no such number is left as it is.
    """
    text = given.lower()
    if form == "hex" and _HEX.fullmatch(text):
        return str(int(text, 16))
    if form == "decimal" and _DECIMAL.fullmatch(text):
        return f"{int(text):x}"
    return text.lstrip("0") or "0"


def _text_of(pdu: DeliverSM) -> str:
    octets = pdu.short_message or pdu.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")
    if pdu.data_coding == 8:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def _states_in(pdu: DeliverSM, fields: Mapping[str, str]) -> list[int]:
    """The state by the parameter, and by the text, which some fill in better."""
    by_tlv = pdu.tlvs.get(Tag.MESSAGE_STATE, b"")
    in_text = state_number(fields.get("stat", ""))
    return [*(by_tlv if len(by_tlv) == 1 else b""), *([] if in_text is None else [in_text])]


def _error_codes_in(pdu: DeliverSM, fields: Mapping[str, str]) -> list[str]:
    """The codes of an error: the aggregator's own in the text, the network's in the parameter. Zeros say that there is none."""
    by_tlv = pdu.tlvs.get(Tag.NETWORK_ERROR_CODE, b"")
    number = int.from_bytes(by_tlv[1:3], "big") if len(by_tlv) == 3 else 0
    in_text = fields.get("err", "")
    return [
        *([in_text] if _CODE.fullmatch(in_text) and in_text.strip("0") else []),
        *([f"{number:03}"] if number else []),
    ]


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
