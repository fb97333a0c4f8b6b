"""What a key of the HTTP API looks like, and which texts are none."""

import hashlib
import re

import pytest

from config.environment import Environment
from keys.api_key_form import is_prefix, new_key, parse_key

# The check was computed apart: CRC-32 of the text before it is 0x0A19E002, for which this is base 62.
TEXT = "key_test_Fj4iq0AbABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
KEY = TEXT + "0BT4LK"


@pytest.mark.parametrize(
    ("environment", "word"),
    [(Environment.TEST, "test"), (Environment.PRODUCTION, "live"), (Environment.LOADTEST, "load")],
)
def test_a_new_key_has_the_contracts_form_and_is_good_in_its_environment_alone(
    environment: Environment, word: str
) -> None:
    text = new_key(environment)
    assert re.fullmatch(rf"key_{word}_[0-9A-Za-z]{{57}}", text)
    key = parse_key(text, environment)
    assert key is not None
    assert key.prefix == text[9:17]
    assert key.digest == hashlib.sha256(text.encode()).digest()
    assert [parse_key(text, other) for other in Environment if other is not environment] == [None, None]


def test_no_two_keys_are_the_same() -> None:
    keys = [new_key(Environment.TEST) for _ in range(200)]
    assert len({key[9:17] for key in keys}) == len({key[17:60] for key in keys}) == 200


def test_the_check_is_that_of_the_contract() -> None:
    assert parse_key(KEY, Environment.TEST) is not None


@pytest.mark.parametrize("place", range(len(KEY)))
def test_a_key_with_one_other_character_is_none(place: int) -> None:
    other = "0" if KEY[place] != "0" else "1"
    assert parse_key(KEY[:place] + other + KEY[place + 1 :], Environment.TEST) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(KEY[:-1], id="cut short"),
        pytest.param(KEY + "0", id="longer"),
        pytest.param(KEY + "\n", id="a line end"),
        pytest.param(" " + KEY, id="a blank before"),
        pytest.param(KEY.replace("key_test", "KEY_TEST"), id="upper case"),
        pytest.param(TEXT.replace("0", "٠") + KEY[-6:], id="digits that aren't ASCII"),
        pytest.param("key_demo_" + KEY[9:], id="no environment's word"),
    ],
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_key(text, Environment.TEST) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Fj4iq0Ab", True), ("Fj4iq0A", False), ("Fj4iq0Ab0", False), ("Fj4iq-Ab", False), ("", False)],
)
def test_a_prefix_has_8_letters_and_digits(text: str, expected: bool) -> None:
    assert is_prefix(text) == expected
