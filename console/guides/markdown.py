"""The guides of `docs/`, as far as they use Markdown, read into pieces that a template shows. Pure; no markup is made here.

The pages and the guides are one text: what changes there changes here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_FENCE: Final = "```"
_INDENT: Final = "    "
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING: Final = re.compile(r"(#{1,3}) (.+)")
_ITEM: Final = re.compile(r"- (.+)")
_RULE: Final = re.compile(r"\|[\s|:-]+\|")
_CELL_END: Final = re.compile(r"(?<!\\)\|")
# Code first: within it nothing else counts.
_INLINE: Final = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a line. `kind`: text, code, strong, em or link; all but text and code have `pieces` in place of `text`."""

    kind: str
    text: str = ""
    pieces: tuple["Piece", ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A block. `kind`: heading (`level`, `anchor`), paragraph, code (`text`), list (`rows`, one cell each) or table."""

    kind: str
    pieces: tuple[Piece, ...] = ()
    text: str = ""
    level: int = 0
    anchor: str = ""
    rows: tuple[tuple[tuple[Piece, ...], ...], ...] = ()


def read_blocks(text: str) -> list[Block]:
    """The blocks of a page, in order. Comments are left out."""
    return list(_blocks(_COMMENT.sub("", text).split("\n")))


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    place = 0
    while place < len(lines):
        line = lines[place]
        end = place + 1
        if not line.strip():
            pass
        elif line.startswith(_FENCE):
            while end < len(lines) and not lines[end].startswith(_FENCE):
                end += 1
            yield Block("code", text="\n".join(lines[place + 1 : end]))
            end += 1
        elif line.startswith(_INDENT):
            while end < len(lines) and (lines[end].startswith(_INDENT) or not lines[end].strip()):
                end += 1
            yield Block(
                "code", text="\n".join(each.removeprefix(_INDENT) for each in lines[place:end]).strip("\n")
            )
        elif heading := _HEADING.fullmatch(line):
            yield Block(
                "heading", read_pieces(heading[2]), level=len(heading[1]), anchor=_anchor_of(heading[2])
            )
        elif line.startswith("|"):
            end = _end_of(lines, end, lambda each: each.startswith("|"))
            yield Block(
                "table",
                rows=tuple(map(_cells, (each for each in lines[place:end] if not _RULE.fullmatch(each)))),
            )
        elif _ITEM.match(line):
            end = _end_of(lines, end, lambda each: each.startswith(("- ", "  ")))
            yield Block("list", rows=tuple((read_pieces(item),) for item in _items(lines[place:end])))
        else:
            end = _end_of(lines, end, _goes_on)
            yield Block("paragraph", read_pieces(" ".join(each.strip() for each in lines[place:end])))
        place = end


def _goes_on(line: str) -> bool:
    """Whether a paragraph goes on in this line."""
    return (
        bool(line.strip()) and not line.startswith(("|", _FENCE, "- ")) and _HEADING.fullmatch(line) is None
    )


def _end_of(lines: Sequence[str], end: int, belongs: Callable[[str], bool]) -> int:
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return end


def _items(lines: Sequence[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if found := _ITEM.match(line):
            items.append(found[1])
        else:
            items[-1] += f" {line.strip()}"
    return items


def _cells(line: str) -> tuple[tuple[Piece, ...], ...]:
    return tuple(
        read_pieces(cell.strip().replace("\\|", "|")) for cell in _CELL_END.split(line.strip().strip("|"))
    )


def read_pieces(text: str) -> tuple[Piece, ...]:
    """The pieces of a line."""
    pieces: list[Piece] = []
    end = 0
    for found in _INLINE.finditer(text):
        if found.start() > end:
            pieces.append(Piece("text", text[end : found.start()]))
        code, strong, em, link, target = found.groups()
        if code is not None:
            pieces.append(Piece("code", code))
        elif strong is not None:
            pieces.append(Piece("strong", pieces=read_pieces(strong)))
        elif em is not None:
            pieces.append(Piece("em", pieces=read_pieces(em)))
        else:
            pieces.append(Piece("link", pieces=read_pieces(link), target=target))
        end = found.end()
    if end < len(text):
        pieces.append(Piece("text", text[end:]))
    return tuple(pieces)


def plain(pieces: Sequence[Piece]) -> str:
    """The words alone."""
    return "".join(piece.text or plain(piece.pieces) for piece in pieces)


def _anchor_of(heading: str) -> str:
    """As GitHub makes it, so that links within the guides lead to the same place here."""
    words = re.sub(r"[^\w\- ]", "", plain(read_pieces(heading)).lower())
    return words.replace(" ", "-")
