"""The form of a single send's body: what is missing or of the wrong type is refused by one sentence that names the field."""

import json

import pytest

from api.errors import RequestRefused
from api.singles.request import SingleRequest, parse_single

VALUES = {"name": "Aisha", "clinic": "Bedok"}
BODY = {"recipient": "6591234567", "language": "english", "values": VALUES}
MISSING = object()


def body_with(**fields: object) -> bytes:
    document = {**BODY, **fields}
    return json.dumps({name: value for name, value in document.items() if value is not MISSING}).encode()


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        pytest.param("6591234567", ("6591234567", False), id="a string"),
        pytest.param(6591234567, ("6591234567", False), id="an integer"),
        pytest.param(-1, ("-1", False), id="a negative integer, which the rules refuse"),
        pytest.param("", ("", False), id="an empty string, which the rules refuse"),
        pytest.param({"value": "S0000001I", "type": "nric"}, ("S0000001I", True), id="an NRIC"),
        pytest.param({"type": "nric", "value": ""}, ("", True), id="an empty one, which the rules refuse"),
    ],
)
def test_a_body_of_the_right_form_is_taken(recipient: object, expected: tuple[str, bool]) -> None:
    request = parse_single(body_with(recipient=recipient))
    assert request == SingleRequest(*expected, "english", VALUES)
    assert list(request.values) == ["name", "clinic"]
    # Neither number nor NRIC nor value gets into a log by way of the whole object.
    assert repr(request) == f"SingleRequest(is_nric={expected[1]}, language='english')"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(body_with(recipient=MISSING), "recipient is missing", id="no recipient"),
        pytest.param(body_with(language=MISSING), "language is missing", id="no language"),
        pytest.param(body_with(values=MISSING), "values is missing", id="no values"),
        pytest.param(b"{}", "recipient is missing", id="nothing"),
        pytest.param(body_with(recipient=6591234567.0), "recipient must be", id="a recipient with decimals"),
        pytest.param(body_with(recipient=True), "recipient must be", id="true for a recipient"),
        pytest.param(body_with(recipient=None), "recipient must be", id="null for a recipient"),
        pytest.param(body_with(recipient=["6591234567"]), "recipient must be", id="several recipients"),
        pytest.param(body_with(recipient={}), "recipient.value must be a string", id="an empty recipient"),
        pytest.param(
            body_with(recipient={"value": "S0000001I"}), "recipient.type must be a string", id="no type"
        ),
        pytest.param(
            body_with(recipient={"value": 1, "type": "nric"}), "recipient.value must be a string", id="a number for an NRIC"
        ),
        pytest.param(
            body_with(recipient={"value": "S0000001I", "type": "NRIC"}), "recipient.type must be nric", id="another type"
        ),
        pytest.param(
            body_with(recipient={"value": "S0000001I", "type": "nric", "name": "x"}),
            "unknown in the body: recipient.name",
            id="more about a recipient",
        ),
        pytest.param(body_with(language=None), "language must be a string", id="null for a language"),
        pytest.param(body_with(language=["english"]), "language must be a string", id="several languages"),
        pytest.param(body_with(values=[]), "values must be an object", id="an array of values"),
        pytest.param(body_with(values=None), "values must be an object", id="null for the values"),
        pytest.param(
            body_with(values={"name": 1, "clinic": "x"}), "values.name must be a string", id="a number for a value"
        ),
        pytest.param(
            body_with(values={"name": "x", "clinic": None}), "values.clinic must be a string", id="null for a value"
        ),
        pytest.param(body_with(values={"x" * 50: 1}), f"values.{'x' * 40}… must be", id="a long name"),
        pytest.param(body_with(Language="english"), "unknown in the body: Language", id="a name in another case"),
        pytest.param(body_with(a=1, b=2), "unknown in the body: a, b", id="more fields"),
        pytest.param(
            b'{"recipient":"6591234567","recipient":"6591234568","language":"english","values":{}}',
            "the name recipient is there twice",
            id="two recipients",
        ),
    ],
)  # fmt: skip
def test_any_other_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestRefused) as raised:
        parse_single(body)
    assert raised.value.status == 400
    assert raised.value.message.startswith(message)
