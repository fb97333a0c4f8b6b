"""SMPP 3.4 on the wire: what a PDU is made of, and how a stream is cut into PDUs. Pure (SMPP 3.4 §3.2, §4, §5.3).

Whatever a peer sends is either a PDU or PDUMalformed: nothing else is raised, and nothing is read beyond its own length.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

_HEADER: Final = struct.Struct(">IIII")
HEADER_BYTES: Final = _HEADER.size
# No PDU of ours or of a peer is nearly as long: a length above it is of a stream that is out of step, or of another protocol.
MOST_BYTES: Final = 64 * 1024


class Command(IntEnum):
    """The commands that are spoken here (§5.1.2.1). An answer has the highest bit."""

    BIND_TRANSCEIVER = 0x00000009
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ALERT_NOTIFICATION = 0x00000102
    GENERIC_NACK = 0x80000000
    BIND_TRANSCEIVER_RESP = 0x80000009
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    ENQUIRE_LINK_RESP = 0x80000015


class Tag(IntEnum):
    """Optional parameters (§5.3.2)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class PDUMalformed(Exception):  # noqa: N818 - a fact about bytes
    """The bytes are no PDU. `status` is what its sender is told (§5.1.3); `sequence` 0 where it isn't known."""

    def __init__(self, status: int, sequence: int = 0) -> None:
        super().__init__(f"0x{status:08X}")
        self.status = status
        self.sequence = sequence


# The bit of an answer's command.
IS_ANSWER: Final = 0x80000000


# §5.1.3: invalid message length, invalid command length, invalid command.
ESME_ROK: Final = 0x00
ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDLEN: Final = 0x02
ESME_RINVCMDID: Final = 0x03


@dataclass(frozen=True, slots=True)
class PDU:
    """A PDU whose body, if it has one, is of no interest: enquire_link, unbind, generic_nack, and answers to them."""

    command: int
    sequence: int
    status: int = ESME_ROK


@dataclass(frozen=True, slots=True)
class Bind:
    """bind_transceiver (§4.1.5)."""

    sequence: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""


@dataclass(frozen=True, slots=True)
class SubmitSM:
    """submit_sm (§4.4.1). Addresses are a type of number, a numbering plan, and the address."""

    sequence: int
    source: tuple[int, int, str]
    destination: tuple[int, int, str] = field(repr=False)
    short_message: bytes = field(repr=False)
    data_coding: int
    esm_class: int = 0
    registered_delivery: int = 1
    validity_period: str = ""
    tlvs: Mapping[int, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that names something: the message's id, or the peer's system id."""

    command: int
    sequence: int
    status: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeliverSM:
    """deliver_sm (§4.6.1): a receipt, or a message from a phone."""

    sequence: int
    source: str = field(repr=False)
    destination: str = field(repr=False)
    esm_class: int
    data_coding: int
    short_message: bytes = field(repr=False)
    tlvs: Mapping[int, bytes] = field(default_factory=dict, repr=False)


Received = PDU | Bind | SubmitSM | Answer | DeliverSM


def encode(pdu: Received) -> bytes:
    """The bytes of a PDU. Raises ValueError for a field that is too long for its place."""
    match pdu:
        case PDU():
            return _framed(pdu.command, pdu.status, pdu.sequence, b"")
        case Bind():
            body = (
                _c_string(pdu.system_id, 16)
                + _c_string(pdu.password, 9)
                + _c_string(pdu.system_type, 13)
                + b"\x34\x00\x00\x00"
            )
            return _framed(Command.BIND_TRANSCEIVER, ESME_ROK, pdu.sequence, body)
        case SubmitSM():
            return _framed(Command.SUBMIT_SM, ESME_ROK, pdu.sequence, _submit_body(pdu))
        case Answer():
            # An answer that refuses has no body (§4.4.2).
            body = b"" if pdu.status else _c_string(pdu.name, 65)
            return _framed(pdu.command, pdu.status, pdu.sequence, body)
        case DeliverSM():
            body = _message_body(
                (0, 0, pdu.source),
                (1, 1, pdu.destination),
                pdu.esm_class,
                0,
                "",
                pdu.data_coding,
                pdu.short_message,
            ) + _encode_tlvs(pdu.tlvs)
            return _framed(Command.DELIVER_SM, ESME_ROK, pdu.sequence, body)


def _submit_body(pdu: SubmitSM) -> bytes:
    return _message_body(
        pdu.source,
        pdu.destination,
        pdu.esm_class,
        pdu.registered_delivery,
        pdu.validity_period,
        pdu.data_coding,
        pdu.short_message,
    ) + _encode_tlvs(pdu.tlvs)


def _message_body(
    source: tuple[int, int, str],
    destination: tuple[int, int, str],
    esm_class: int,
    registered_delivery: int,
    validity_period: str,
    data_coding: int,
    short_message: bytes,
) -> bytes:
    if len(short_message) > 254:
        raise ValueError("short_message has 254 octets at most")
    return b"".join(
        (
            b"\x00",
            _address(source),
            _address(destination),
            bytes((esm_class, 0, 0)),
            b"\x00",
            _c_string(validity_period, 17),
            bytes((registered_delivery, 0, data_coding, 0, len(short_message))),
            short_message,
        )
    )


def decode(frame: bytes) -> Received:
    """A PDU from exactly its bytes. Raises PDUMalformed. What is spoken by nobody here is a PDU without its body."""
    if len(frame) < HEADER_BYTES:
        raise PDUMalformed(ESME_RINVCMDLEN)
    length, command, status, sequence = _HEADER.unpack_from(frame)
    if length != len(frame):
        raise PDUMalformed(ESME_RINVCMDLEN, sequence)
    reader = _Reader(frame, sequence)
    match command:
        case Command.SUBMIT_SM_RESP | Command.BIND_TRANSCEIVER_RESP | Command.DELIVER_SM_RESP:
            return Answer(command, sequence, status, reader.name())
        case Command.DELIVER_SM:
            return _read_deliver(reader, sequence)
        case Command.SUBMIT_SM:
            return _read_submit(reader, sequence)
        case Command.BIND_TRANSCEIVER:
            return Bind(sequence, reader.c_string(16), reader.c_string(9), reader.c_string(13))
        case _:
            return PDU(command, sequence, status)


def _read_deliver(reader: "_Reader", sequence: int) -> DeliverSM:
    reader.c_string(6)
    source, destination = reader.address(), reader.address()
    esm_class, _, _ = reader.octets(3)
    reader.c_string(17)
    reader.c_string(17)
    _, _, data_coding, _, length = reader.octets(5)
    short_message = bytes(reader.octets(length))
    return DeliverSM(
        sequence, source[2], destination[2], esm_class, data_coding, short_message, reader.tlvs()
    )


def _read_submit(reader: "_Reader", sequence: int) -> SubmitSM:
    reader.c_string(6)
    source, destination = reader.address(), reader.address()
    esm_class, _, _ = reader.octets(3)
    reader.c_string(17)
    validity_period = reader.c_string(17)
    registered_delivery, _, data_coding, _, length = reader.octets(5)
    short_message = bytes(reader.octets(length))
    return SubmitSM(
        sequence, source, destination, short_message, data_coding, esm_class, registered_delivery,
        validity_period, reader.tlvs(),
    )  # fmt: skip


class _Reader:
    """Reads the body of a frame from its front."""

    def __init__(self, frame: bytes, sequence: int) -> None:
        self._frame = frame
        self._sequence = sequence
        self._at = HEADER_BYTES

    def name(self) -> str:
        """An answer's name. It always has one, since an answer is no less one for its body.

        Where they refuse, some leave the body out and some don't; and some end a name by the end of the PDU.
        """
        return self._frame[self._at :].partition(b"\0")[0].decode("latin-1")

    def octets(self, count: int) -> bytes:
        taken = self._frame[self._at : self._at + count]
        if len(taken) < count:
            raise PDUMalformed(ESME_RINVMSGLEN, self._sequence)
        self._at += count
        return taken

    def c_string(self, most: int) -> str:
        """A string that ends by an octet 0. Some give one that is a little too long; the limit of a frame holds for it."""
        end = self._frame.find(b"\0", self._at, self._at + 4 * most)
        if end < 0:
            raise PDUMalformed(ESME_RINVMSGLEN, self._sequence)
        text = self._frame[self._at : end].decode("latin-1")
        self._at = end + 1
        return text

    def address(self) -> tuple[int, int, str]:
        ton, npi = self.octets(2)
        return ton, npi, self.c_string(21)

    def tlvs(self) -> Mapping[int, bytes]:
        """Optional parameters. What is left at the end and isn't one is ignored, as some pad their PDUs."""
        found: dict[int, bytes] = {}
        while len(self._frame) - self._at >= 4:
            tag, length = struct.unpack_from(">HH", self._frame, self._at)
            if self._at + 4 + length > len(self._frame):
                break
            found[tag] = self._frame[self._at + 4 : self._at + 4 + length]
            self._at += 4 + length
        self._at = len(self._frame)
        return found


def _encode_tlvs(tlvs: Mapping[int, bytes]) -> bytes:
    return b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in tlvs.items())


def _framed(command: int, status: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(HEADER_BYTES + len(body), command, status, sequence) + body


def _c_string(text: str, most: int) -> bytes:
    """`most` counts the octet 0 at its end."""
    octets = text.encode("latin-1")
    if len(octets) >= most or b"\0" in octets:
        raise ValueError(f"a field of {most - 1} octets at most is too long, or has an octet 0")
    return octets + b"\0"


def _address(address: tuple[int, int, str]) -> bytes:
    ton, npi, text = address
    return bytes((ton, npi)) + _c_string(text, 21)


class Frames:
    """Cuts what is received into frames: a PDU's bytes each."""

    def __init__(self) -> None:
        self._received = bytearray()

    def take(self, received: bytes) -> Iterator[bytes]:
        """The frames that are whole now. Raises PDUMalformed for a length that no PDU has: the stream is lost then."""
        self._received += received
        at = 0
        try:
            while len(self._received) - at >= 4:
                length = int.from_bytes(self._received[at : at + 4], "big")
                if not HEADER_BYTES <= length <= MOST_BYTES:
                    raise PDUMalformed(ESME_RINVCMDLEN)
                if len(self._received) - at < length:
                    break
                yield bytes(self._received[at : at + length])
                at += length
        finally:
            del self._received[:at]
