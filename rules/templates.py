"""A campaign's template: one body per language, with `{{parameter}}` placeholders. Pure values; stored by `campaigns`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

# The guide writes {{variable}}; blanks inside the braces are how people type it.
PLACEHOLDER: Final = re.compile(r"\{\{[ \t]*([^{}]*?)[ \t]*\}\}")
PARAMETER_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
RESERVED_NAMES: Final = frozenset({"recipient", "language"})


class Language(StrEnum):
    """The four languages of the service, as written in the `language` column (in any case)."""

    ENGLISH = "english"
    CHINESE = "chinese"
    MALAY = "malay"
    TAMIL = "tamil"


@dataclass(frozen=True)
class Template:
    """What a campaign says. `header` is the agency's name, on top of every message, always in English.

    `bodies` maps each language of the campaign to its text; all have the same parameters (checked at creation).
    """

    header: str
    bodies: Mapping[Language, str]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Parameter names, in the order of their first appearance in the first body."""
        first = next(iter(self.bodies.values()))
        return tuple(dict.fromkeys(parameters_of(first)))


def parameters_of(body: str) -> list[str]:
    """Every placeholder's name in `body`, in order, repeated where it is used again."""
    return [match[1] for match in PLACEHOLDER.finditer(body)]


def split_body(body: str) -> list[str]:
    """`body` cut at its placeholders: literal text, parameter name, literal text, … (odd places are names)."""
    return PLACEHOLDER.split(body)
