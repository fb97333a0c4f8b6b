"""The OpenAPI document: sound by itself, complete, and true to the contract's own examples."""

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import ENDPOINTS
from api.openapi.document import openapi_json
from tests.api.openapi.answer_schemas import assert_is, check, document
from tests.api.openapi.contract_examples import KEYS, VERBATIM
from tests.api.served import ServedAPI


def test_it_is_a_sound_openapi_3_1_document() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []
    assert document()["openapi"].startswith("3.1.")


def operations() -> dict[tuple[str, str], Any]:
    return {
        (method, path): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_it_has_every_endpoint_by_its_name_and_no_other() -> None:
    served = {
        (method.lower(), re.sub(r"_(\w)", lambda m: m[1].upper(), f"/campaigns/{{campaign_id}}{path}")): name
        for name, method, path in ENDPOINTS
    }
    served |= {("get", "/health"): "show_health", ("get", "/openapi.json"): "show_openapi"}
    assert {key: one["operationId"] for key, one in operations().items()} == served


def test_each_component_is_used() -> None:
    text = openapi_json().decode()
    for kind, named in document()["components"].items():
        for name in named:
            assert kind == "securitySchemes" or f'"#/components/{kind}/{name}"' in text, name


def test_each_endpoint_has_the_answers_that_any_call_may_get() -> None:
    for (method, path), operation in operations().items():
        statuses = set(operation["responses"])
        assert {"400", "403", "404", "405", "414", "431", "500", "503"} <= statuses, path
        if "security" not in operation:
            assert {"401", "429"} <= statuses, path
        assert (
            ("409" in statuses) == ("422" in statuses) == ("413" in statuses) == ("requestBody" in operation)
        )
        assert method in ("get", "post")


@pytest.mark.parametrize(("name", "text"), VERBATIM, ids=[name for name, _ in VERBATIM])
def test_each_example_of_the_contract_is_one_of_the_document(name: str, text: str) -> None:
    assert_is(name, text)


@pytest.mark.parametrize("name", KEYS)
def test_keys_stand_in_the_contracts_order(name: str) -> None:
    properties = list(document()["components"]["schemas"][name]["properties"])
    assert properties == KEYS[name].split()


def test_each_example_in_the_document_fits_where_it_stands() -> None:
    found = 0
    for schema in document()["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            check(schema, example)
            found += 1
    for parameter in document()["components"]["parameters"].values():
        if "example" in parameter:
            check(parameter["schema"], parameter["example"])
            found += 1
    assert found > 8


def test_what_a_wrong_answer_would_be_is_told() -> None:
    for name, text in (
        ("RequestError", '{"statusCode":401,"message":"Unauthorized"}'),
        ("RequestError", '{"message":"Unauthorized"}'),
        ("RequestError", '{"message":"Unauthorized","statusCode":401,"more":1}'),
        ("DomainError", '{"error":{"code":"x","message":"…","type":"domain_error","id":"1"}}'),
        ("DomainError", '{"error":{"code":"nric_invalid","message":"…","type":"domain_error","id":"abc"}}'),
        ("Time", '"2026-11-25T09:30:12+08:00"'),
        ("SingleSend", '{"recipient":"+65","language":"english","values":{}}'),
    ):
        with pytest.raises(AssertionError):
            assert_is(name, text)


async def test_anybody_gets_it_from_the_api(api: ServedAPI) -> None:
    answer = await api.get("/api/v2/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == document()
    assert (await api.get("/api/v2/openapi.json/")).status == 404
