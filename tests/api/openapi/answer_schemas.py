"""Whether a JSON value is what the document says: by its schema, with no key besides, and with its keys in the schema's order."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from api.openapi.answers import DOMAIN_CODES
from api.openapi.document import openapi_document


@cache
def document() -> Any:
    """The document as a client reads it."""
    return json.loads(json.dumps(openapi_document()))


def assert_is(name: str, text: str | bytes) -> Any:
    """Check a text against the schema of that name. Returns its value."""
    value = json.loads(text)
    check({"$ref": f"#/components/schemas/{name}"}, value)
    return value


def check(schema: Mapping[str, Any], value: object) -> None:
    """Raises AssertionError with all that is wrong."""
    errors = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in _validator(json.dumps(schema)).iter_errors(value)
    ]
    assert not errors, "\n".join(errors)
    assert not (wrong := list(_out_of_order(schema, value))), wrong


@cache
def _validator(schema: str) -> Draft202012Validator:
    components = _closed(document()["components"])
    # Clients must bear further codes one day; but each that comes today must be documented.
    components["schemas"]["DomainErrorBody"]["properties"]["code"]["enum"] = list(DOMAIN_CODES)
    return Draft202012Validator({**json.loads(schema), "components": components})


def _closed(part: Any) -> Any:
    """The schemas with no room for keys that they don't name, as clients may one day see, but not today."""
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(one) for name, one in part.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def _resolved(schema: Any) -> Any:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _out_of_order(schema: Any, value: object) -> Any:
    """Each object in `value` whose keys don't stand in the order of its schema's properties."""
    schema = _resolved(schema)
    for alternative in schema.get("anyOf", ()):
        # The alternative that has these keys; one that has others says nothing about the order.
        found = _resolved(alternative)
        if isinstance(value, dict) and value.keys() <= found.get("properties", {}).keys():
            yield from _out_of_order(found, value)
    if isinstance(value, list) and "items" in schema:
        for one in value:
            yield from _out_of_order(schema["items"], one)
    if isinstance(value, dict) and "properties" in schema:
        names = [name for name in schema["properties"] if name in value]
        if [name for name in value if name in schema["properties"]] != names:
            yield list(value)
        for name in names:
            yield from _out_of_order(schema["properties"][name], value[name])
