"""Mutated PDUs: whatever a peer sends is a PDU or PDUMalformed, and no receipt makes anything else of it.

`python -m tests.sending.providers.smpp.fuzz_pdus --runs 20000`
"""

import argparse
import random
import sys
import time
from datetime import UTC, datetime
from typing import Final

from sending.providers.smpp.pdus import DeliverSM, Frames, PDUMalformed, decode, encode
from sending.providers.smpp.receipts import parse_receipt
from tests.sending.providers.smpp.peer_codec import random_answer, random_receipt, random_submission

# Seconds for one PDU, however it is made: a regular expression must not run wild on it.
_MOST_SECONDS: Final = 5.0
_TEXTS: Final = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2611280102 done date:2611280103 stat:DELIVRD err:000 text:hello",
    b"id:,sub:001,dlvrd:001,submit date:2611280102,done date:9999999999,stat:UNDELIV,err:,text:",
    b"id" * 100,
    b"id: " * 60,
)


def mutated(frame: bytes, source: random.Random) -> bytes:
    """The frame with some octets changed, left out, doubled, or put in; its length says the truth or not."""
    octets = bytearray(frame)
    for _ in range(source.randrange(1, 6)):
        at = source.randrange(len(octets) + 1)
        match source.randrange(4):
            case 0 if at < len(octets):
                octets[at] = source.randrange(256)
            case 1:
                del octets[at : at + source.randrange(1, 9)]
            case 2:
                octets[at:at] = octets[at : at + source.randrange(1, 9)]
            case _:
                octets[at:at] = source.randbytes(source.randrange(1, 9))
    if source.random() < 0.8 and len(octets) >= 4:
        octets[:4] = len(octets).to_bytes(4, "big")
    return bytes(octets)


def random_frame(source: random.Random) -> bytes:
    match source.randrange(4):
        case 0:
            return encode(random_submission(source))
        case 1:
            return random_answer(source)[0]
        case 2:
            return random_receipt(source)[0]
        case _:
            return encode(
                DeliverSM(5, "6591234567", "gov.sg", 4, source.choice((0, 8)), source.choice(_TEXTS))
            )


def fuzz(runs: int, seed: int) -> int:
    """Returns how many of the mutated PDUs could be read all the same."""
    source = random.Random(seed)
    readable = 0
    for _ in range(runs):
        octets = mutated(random_frame(source), source)
        began = time.process_time()
        frames = Frames()
        try:
            for frame in frames.take(octets):
                pdu = decode(frame)
                readable += 1
                if isinstance(pdu, DeliverSM):
                    form = source.choice(("as_is", "hex", "decimal"))
                    parse_receipt(pdu, form=form, errors={"001": "recipient_invalid"}, now=datetime.now(UTC))  # type: ignore[arg-type]
        except PDUMalformed:
            pass
        if time.process_time() - began > _MOST_SECONDS:
            message = f"a PDU of {len(octets)} octets took too long: {octets.hex()}"
            raise AssertionError(message)
    return readable


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="PDUs to read")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="another seed, other PDUs")
    options = parser.parse_args()
    readable = fuzz(options.runs, options.seed)
    print(f"{options.runs:,} mutated PDUs with seed {options.seed}: {readable:,} read, all others malformed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
