"""Markup in values: what web forms, databases and spreadsheets leave, and an SMS, which is plain text, would show.

HTML's entities with a name of HTML's table or a number, always with their semicolon; the tags `<br>`, `<b>` and `<p>`, which
are the ones seen; and `_x000D_`, by which Excel's files write a carriage return. `AT&T`, `?a=1&region=3` and `a < b` are none.
"""

import re
from html import unescape
from html.entities import html5
from typing import Final, NamedTuple

from rules.characters.code_points import name_character
from rules.characters.unsupported import UnsupportedRule, replacements

# Written so that Python and polars read it alike; of the entities with a name only some are in the table.
SHAPE: Final = r"&(?:[A-Za-z][A-Za-z0-9]*|#[0-9]+|#[xX][0-9A-Fa-f]+);|</?[bBpP]>|<[bB][rR] ?/?>|_x000[dD]_"
_PATTERN: Final = re.compile(SHAPE)
# An entity whose own & was escaped again, as `&amp;#39;`: what it means is the character, not the &.
_ESCAPED_AGAIN: Final = re.compile(
    r"&(?:amp;)+([A-Za-z][A-Za-z0-9]*;|#[0-9]+;|#[xX][0-9A-Fa-f]+;)", re.IGNORECASE
)
# More digits than any character's number has would take long to read.
_LONGEST: Final = 40


class Markup(NamedTuple):
    """One piece of markup and, as the end of a sentence, what to do about it."""

    text: str
    advice: str


def first_markup(text: str) -> Markup | None:
    """The first markup of a text."""
    for found in _PATTERN.finditer(text):
        markup = found[0]
        if markup[0] != "&" or markup[1] == "#" or markup[1:] in html5:
            again = _ESCAPED_AGAIN.match(text, found.start())
            if again and (again[1][0] == "#" or again[1] in html5):
                markup = again[0]
            return Markup(markup[:_LONGEST], _advice(markup))
    return None


def _advice(markup: str) -> str:
    if markup[0] == "_" or markup[:3].lower() == "<br":
        return "write a line break instead, or remove it"
    if markup[0] == "<":
        return "remove it"
    meant = unescape(markup) if len(markup) <= _LONGEST else ""
    while (again := unescape(meant)) != meant:
        meant = again
    if meant.isspace():
        return "write a line break instead" if meant in "\n\r" else "write a space instead"
    if not meant or "\ufffd" in meant:
        return "remove it"
    if meant.isprintable():
        instead = replacements(UnsupportedRule()).get(meant)
        return f"write {meant} instead" + (f", in English {instead}" if instead else "")
    return f"it stands for {', '.join(map(name_character, meant))}, remove it"
