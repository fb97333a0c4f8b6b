"""Changes the text of a function of the database in one place: an operator, a condition or a number. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Texts and comments stay as they are, and so does what only looks like an operator.
_TOKEN: Final = re.compile(
    r"""(?P<kept>--[^\n]*|'(?:[^']|'')*'|"[^"]*"|:=|::|=>|\|\||\$\d+)
    |(?P<word>\b(?:is\s+not\s+distinct|is\s+distinct|is\s+not\s+null|is\s+null|not\s+exists|exists|and|or|not|true|false
        |least|greatest|min|max|desc)\b)
    |(?P<operator><>|<=|>=|<|>|=|\+|(?<![-\w])-(?![-\w])|(?<=\w\s)-(?=\s\w)|\*|/)
    |(?P<number>(?<![\w.])\d+(?:\.\d+)?(?![\w.]))""",
    re.VERBOSE | re.IGNORECASE,
)
_OTHERS: Final = {
    "is not distinct": "is distinct", "is distinct": "is not distinct", "is not null": "is null", "is null": "is not null",
    "not exists": "exists", "exists": "not exists", "and": "or", "or": "and", "not": "", "true": "false", "false": "true",
    "least": "greatest", "greatest": "least", "min": "max", "max": "min", "desc": "asc",
    "<>": "=", "=": "<>", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+", "*": "/", "/": "*",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SQLMutant:
    """A function that differs in one place. `where` shows its line as it was, and `what` the change."""

    name: str
    where: str
    what: str
    text: str


def sql_mutants(function: str, definition: str) -> Iterator[SQLMutant]:
    """All mutants of a function's body. Not all are valid SQL: the database refuses those."""
    # What stands before the body are names, types and settings.
    body = max(definition.find("$function$"), definition.find("RETURN "), 0)
    for number, match in enumerate(_TOKEN.finditer(definition, body), 1):
        found = match[0]
        match match.lastgroup:
            case "word" | "operator":
                other = _OTHERS[re.sub(r"\s+", " ", found.lower())]
            case "number":
                other = str(int(found) + 1) if found.isdigit() else str(float(found) + 1)
            case _:
                continue
        start = definition.rfind("\n", 0, match.start()) + 1
        end = definition.find("\n", match.end())
        yield SQLMutant(
            f"{function}:{number}",
            definition[start:end].strip(),
            f"{found} -> {other}",
            definition[: match.start()] + other + definition[match.end() :],
        )
