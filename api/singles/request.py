"""What a single send asks for: the form of its body, whose faults are about the request (shape A)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from api.bodies import parse_json_object, refuse_unknown
from api.errors import RequestRefused
from rules.texts import quote

_FIELDS: Final = ("recipient", "language", "values")
_NRIC_FIELDS: Final = ("value", "type")


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """A body of the right form. `recipient` is a number as sent or, where `is_nric`, an NRIC, which no log and no table gets."""

    recipient: str = field(repr=False)
    is_nric: bool
    language: str
    values: Mapping[str, str] = field(repr=False)


def parse_single(body: bytes) -> SingleRequest:
    """The request in a body. Raises RequestRefused (400), which names the field."""
    document = parse_json_object(body)
    refuse_unknown(document, _FIELDS)
    for name in _FIELDS:
        if name not in document:
            raise RequestRefused(400, f"{name} is missing")
    recipient, is_nric = _recipient(document["recipient"])
    language, values = document["language"], document["values"]
    if not isinstance(language, str):
        raise RequestRefused(400, "language must be a string")
    if not isinstance(values, dict):
        raise RequestRefused(400, "values must be an object")
    for name, value in values.items():
        if not isinstance(value, str):
            raise RequestRefused(400, f"values.{quote(name)} must be a string")
    return SingleRequest(recipient, is_nric, language, values)


def _recipient(given: object) -> tuple[str, bool]:
    """The recipient as text, and whether it is an NRIC."""
    match given:
        case str():
            return given, False
        case bool():
            pass
        case int():
            return str(given), False
        case dict():
            refuse_unknown(given, _NRIC_FIELDS, within="recipient")
            for name in _NRIC_FIELDS:
                if not isinstance(given.get(name), str):
                    raise RequestRefused(400, f"recipient.{name} must be a string")
            if given["type"] != "nric":
                raise RequestRefused(400, "recipient.type must be nric")
            return given["value"], True
        case _:
            pass
    raise RequestRefused(400, "recipient must be a string, a whole number or an object")
