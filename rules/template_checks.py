"""A campaign's template, checked once at its creation: refusals and warnings as sentences for the person creating it.

Decided here: unsupported characters are refused in the header and in the English body (its placeholders left aside);
control characters (TAB is none) in the header and every body. A placeholder is `{{name}}` to the letter: blanks in it, one
brace in place of two, full-width braces, a brace right beside it and `{{` or `}}` elsewhere are refused in every language, since
nobody may read braces on a phone. (Templates stored before that rule may have blanks in their placeholders, and `templates`
goes on filling those.) Lengths are of the body without its
placeholders, line ends as LF, in UTF-16 units: the values come on top, row by row.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import cycle
from typing import Final

from rules.characters.unsupported import (
    Unsupported,
    UnsupportedRule,
    all_unsupported,
    first_unsupported,
    with_replacements,
)
from rules.languages import parse_language, suggest_language
from rules.messages import BODY_LIMIT, BODY_RECOMMENDED, Layout
from rules.templates import (
    PARAMETER_NAME,
    PLACEHOLDER,
    RESERVED_NAMES,
    Language,
)
from rules.values import first_control_character

_NAME: Final = r"[A-Za-z][A-Za-z0-9_ .-]*"
_BROKEN_PLACEHOLDER: Final = re.compile(
    # A name in braces of any kind and number, else braces that stand together, or beside a placeholder (which \0 stands for).
    rf"[{{｛]+\s*(?P<name>{_NAME}?)\s*[}}｝]+|[{{｛]{{2,}}|[}}｝]{{2,}}|[{{｛]\0|\0[}}｝]"
)
_IN_BRACES: Final = re.compile(rf"[{{｛]+({_NAME})")
# A placeholder, or what looks like one.
_PLACEHOLDERS: Final = re.compile(rf"(\{{\{{[ \t]*[^{{}}]*?[ \t]*\}}\}}|[{{｛]+\s*{_NAME}?\s*[}}｝]+)")
_EXCERPT: Final = 20
# With recipient and language, the 200 columns that a header row may have.
MOST_PARAMETERS: Final = 198


@dataclass(frozen=True, slots=True)
class TemplateCheck:
    """Any refusal keeps the template from being stored; warnings don't."""

    refusals: list[str]
    warnings: list[str]


def check_template(header: str, bodies: Mapping[str, str], rule: UnsupportedRule) -> TemplateCheck:
    """Checks a header and one body per language name; everything wrong is told at once."""
    # A lone surrogate, which no encoding can store, would stop the checks below.
    if any(not _is_encodable(text) for text in (header, *bodies.values())):
        return TemplateCheck(["the template is not UTF-8 text"], [])
    refusals = [*_header_refusals(header, rule)]
    warnings: list[str] = []
    if not bodies:
        refusals.append("the template has no body: give at least one language and its text")
    known: dict[Language, str] = {}
    for name, body in bodies.items():
        language = parse_language(name)
        if language is None:
            refusals.append(_unknown_language(name))
        elif language in known:
            refusals.append(f"{language}: given twice, give one body per language")
        else:
            known[language] = body
    for language, body in known.items():
        refusals.extend(f"{language}: {text}" for text in _body_refusals(body, language, rule))
        length = Layout.of_body(body).literal_units()
        if BODY_RECOMMENDED < length <= BODY_LIMIT:
            warnings.append(
                f"{language}: the body has {length} characters without its parameters; over {BODY_RECOMMENDED} is not recommended"
            )
    refusals.extend(_differing_parameters(known))
    return TemplateCheck(refusals, warnings)


def find_unsupported(body: str, rule: UnsupportedRule) -> list[Unsupported]:
    """Every refused character of a body, once each, in order; what stands for a parameter is left aside."""
    found = (each for text in _literals(body) for each in all_unsupported(text, rule))
    return list(dict.fromkeys(found))


def replace_unsupported(body: str, rule: UnsupportedRule) -> str:
    """The body with each refused character replaced or left out; what stands for a parameter stays as it is."""
    pieces = _PLACEHOLDERS.split(body)
    return "".join(
        piece if is_placeholder else with_replacements(piece, rule)
        for piece, is_placeholder in zip(pieces, cycle((False, True)), strict=False)
    )


def _literals(body: str) -> list[str]:
    return _PLACEHOLDERS.split(body)[::2]


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _header_refusals(header: str, rule: UnsupportedRule) -> Iterator[str]:
    if not header.strip():
        yield "the header is empty: give the agency's name"
    control = first_control_character(header)
    if control:
        yield f"the header has the control character U+{ord(control):04X}, remove it"
    unsupported = first_unsupported(header, rule)
    if unsupported:
        yield f"the header has the unsupported character {_named(unsupported)}"


def _body_refusals(body: str, language: Language, rule: UnsupportedRule) -> Iterator[str]:
    if not body.strip():
        yield "the body is empty: give the message's text"
        return
    layout = Layout.of_body(body)
    names = dict.fromkeys(layout.parameters)
    if len(names) > MOST_PARAMETERS:
        yield f"the body has {len(names)} parameters, at most {MOST_PARAMETERS} are allowed"
    for name in names:
        refusal = _name_refusal(name)
        if refusal:
            yield refusal
    for broken in dict.fromkeys(_broken_placeholders(body)):
        yield f"broken placeholder at {broken}, with two braces on either side and no blanks in them"
    control = first_control_character("".join(layout.literals))
    if control:
        yield f"the body has the control character U+{ord(control):04X}, remove it"
    if language is Language.ENGLISH:
        unsupported = first_unsupported(_BROKEN_PLACEHOLDER.sub("", "\0".join(layout.literals)), rule)
        if unsupported:
            yield f"the body has the unsupported character {_named(unsupported)}"
    length = layout.literal_units()
    if length > BODY_LIMIT:
        yield f"the body has {length} characters without its parameters, at most {BODY_LIMIT} are allowed"


def _named(unsupported: Unsupported) -> str:
    return f"{unsupported.named}, {unsupported.advice}"


def _name_refusal(name: str) -> str | None:
    if PARAMETER_NAME.fullmatch(name):
        if name in RESERVED_NAMES:
            return f"the parameter {name} has the name of a column of every file, choose another"
        return None
    shown = ascii(name[:_EXCERPT])[1:-1]
    if not name:
        return "a placeholder has no name: write {{name}}"
    return f"the parameter {shown}: a name has lower-case letters, digits and _, and begins with a letter"


def _broken_placeholders(body: str) -> Iterator[str]:
    """The text around each brace that makes no placeholder but looks like it, and how that is written."""
    for found in PLACEHOLDER.finditer(body):
        if found[0] != f"{{{{{found[1]}}}}}":
            yield _spelled(found[0], found[1])
    left = PLACEHOLDER.sub(lambda found: "\0" * len(found[0]), body)
    for found in _BROKEN_PLACEHOLDER.finditer(left):
        yield _spelled(body[found.start() : found.start() + _EXCERPT], found["name"] or "")


def _spelled(excerpt: str, name: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in excerpt[:_EXCERPT])
    inner = _IN_BRACES.match(excerpt)
    right = re.sub(r"[ .-]+", "_", (name or (inner[1] if inner else "")).strip().lower())
    return f'"{shown}": write {{{{{right if PARAMETER_NAME.fullmatch(right) else "name"}}}}}'


def _unknown_language(name: str) -> str:
    nearest = suggest_language(name, tuple(Language))
    shown = ascii(name[:_EXCERPT])[1:-1]
    hint = f": did you mean {nearest}?" if nearest else f": use {', '.join(Language)}"
    return f"unknown language {shown}{hint}"


def _differing_parameters(bodies: Mapping[Language, str]) -> Iterator[str]:
    """Each language's parameters against those of the first one."""
    sets = {language: set(Layout.of_body(body).parameters) for language, body in bodies.items()}
    if not sets:
        return
    first, expected = next(iter(sets.items()))
    for language, found in sets.items():
        for name in sorted(expected - found):
            near = get_close_matches(name, found - expected, n=1)
            hint = f", has it the name {near[0]} there?" if near else ""
            yield f"{language}: the parameter {name} of the {first} body is missing{hint}"
        for name in sorted(found - expected):
            yield f"{language}: the parameter {name} is not in the {first} body"
