"""Uploads, keys and packets that can be recognised wherever they turn up, and the search for them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from asyncssh.packet import Byte, String, UInt32, UInt64

NUMBER: Final = "6598765"
NAME: Final = "Quartzmouth"
TOPIC: Final = "zugzwang"
CHINESE: Final = "灯塔臭豆腐"
FILE: Final = "kumquat"
MARKS: Final = (NUMBER, NAME, TOPIC, CHINESE, FILE)
_HEADER: Final = "recipient,language,name,topic"


def good_file(number: int) -> bytes:
    """Three good rows, found in no other file."""
    rows = (f"{NUMBER}{row:03},english,{NAME} {row},{TOPIC} {number} {CHINESE}" for row in range(3))
    return "\n".join((_HEADER, *rows, "")).encode()


def bad_files() -> Iterator[bytes]:
    """Files with every kind of fault that quotes what the sender wrote, or chokes on it."""
    for row in (
        f"+{NUMBER}001,english,{NAME},{TOPIC}",
        f"{NUMBER}00199999999,english,{NAME},{TOPIC}",
        f"{NUMBER} 002,english,{NAME},{TOPIC}",
        f"{NAME},english,{NUMBER},{TOPIC}",
        f"{NUMBER}003,{TOPIC},{NAME},{CHINESE}",
        f"{NUMBER}004,tamil,{NAME},{TOPIC}",
        f"{NUMBER}005,english, {NAME} ,{TOPIC}“",
        f"{NUMBER}006,english,{NAME}\x07,{TOPIC}\0",
        f"{NUMBER}007,english,{NAME}",
        f"{NUMBER}008,english,{NAME},{TOPIC},{CHINESE}",
        f'{NUMBER}009,english,"{NAME},{TOPIC}',
        f'{NUMBER}010,english,"{NAME}"{CHINESE},{TOPIC}',
        f"{NUMBER}011,english,{NAME * 200},{TOPIC}",
    ):
        yield f"{_HEADER}\n{row}\n".encode()
    for whole in (
        f"recipient,language,name,{TOPIC}\n{NUMBER}012,english,{NAME},{TOPIC}\n",
        f"{_HEADER},{NAME}\n{NUMBER}013,english,{NAME},{TOPIC},\n",
        f"recipient;language;{NAME};{TOPIC}\n",
        f"{NUMBER}014,english,{NAME},{TOPIC}\n",
    ):
        yield whole.encode()
    yield f"{_HEADER}\n{NUMBER}015,english,{NAME},{TOPIC}\n".encode("utf-16")
    yield f"{_HEADER}\n{NUMBER}016,english,{NAME} café,{TOPIC}\n".encode("cp1252")


def names() -> Iterator[bytes]:
    """Names that are refused, each for a reason of its own."""
    yield from (f"{FILE}.xlsx".encode(), f"{FILE}\n.csv".encode(), f"{FILE}/{NAME}.csv".encode())
    yield from (f"../{FILE}.csv".encode(), FILE.encode() * 50 + b".csv", FILE.encode() + b"\xff.csv")


def malformed_streams() -> Iterator[bytes]:
    """Requests that don't hold what they should, with marks in them; each stream begins with a good INIT."""
    text = f"{FILE}.csv {NAME} {TOPIC} {NUMBER}".encode()
    write, created = UInt32(0x1A), UInt32(0)
    for body in (
        Byte(3) + UInt32(1) + String(text)[:-4],  # OPEN, its name cut off
        Byte(3) + UInt32(1) + String(text) + write + UInt32(0x80000001) + String(text),  # attributes cut off
        Byte(3) + UInt32(1) + String(f"{FILE}-raw.csv") + write + created + text,  # too much behind it
        Byte(6) + UInt32(2) + String(text) + UInt64(0) + String(text),  # WRITE to no handle
        Byte(6) + UInt32(2) + String(text) + UInt64(2**64 - 1) + UInt32(2**31) + text,
        Byte(200) + UInt32(3) + String(f"{FILE}@openssh.com") + text,  # an extension unheard of
        Byte(200) + UInt32(3) + String("posix-rename@openssh.com") + String(text) + b"\xff\xff",
        Byte(99) + UInt32(4) + text,  # a type unheard of
        Byte(18) + UInt32(5) + String(text) + String(b"\xff\xfe" + text),  # RENAME
        Byte(20) + UInt32(6) + String(text) + String(text),  # SYMLINK
        text,
    ):
        init = Byte(1) + UInt32(3)
        yield String(init) + String(body)
    yield String(Byte(1) + UInt32(3)) + UInt32(2**31) + text


def secrets_of(*private_keys: Path) -> list[str]:
    """What of each key pair may stand nowhere: the lines of the private file, and the public key without its common beginning."""
    found: list[str] = []
    for path in private_keys:
        found += [line for line in path.read_text().splitlines() if len(line) > 40]
        public = path.with_name(f"{path.name}.pub").read_text().split()[1]
        found.append(public[-40:])
    return found


def marks_in(text: str, marks: Sequence[str]) -> set[str]:
    """The marks found in `text`: as they are, escaped as in JSON or a repr, or as bytes in hex."""
    decoded = [
        bytes.fromhex(digits).decode("utf-8", "replace")
        for digits in re.findall(r"\\x((?:[0-9a-f]{2})+)", text)
    ]
    haystack = "\n".join([text, *decoded]).casefold()
    return {
        mark
        for mark in marks
        for form in (mark, json.dumps(mark)[1:-1], repr(mark.encode())[2:-1])
        if form.casefold() in haystack
    }


def leaks(places: Mapping[str, str], marks: Sequence[str]) -> list[str]:
    """Each line of a place that has a mark."""
    return [
        f"{place}: {sorted(found)} in {line[:600]}"
        for place, text in places.items()
        for line in text.splitlines()
        if (found := marks_in(line, marks))
    ]
