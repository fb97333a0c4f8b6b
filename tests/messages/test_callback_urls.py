"""Only the address that was made for an attempt is believed to speak for it."""

import re

import pytest

from messages.callback_urls import callback_url, parse_callback_path
from messages.news import AttemptKey

OLD, NEW, FOREIGN = b"o" * 32, b"n" * 32, b"f" * 32
KEY = AttemptKey(2_000_000_000, 1_000_001, 12)
BASE = "https://sms.agency.gov.sg"


def path_of(key: AttemptKey, *data_keys: bytes) -> str:
    return callback_url(BASE, key, data_keys).removeprefix(BASE)


@pytest.mark.parametrize("base", [BASE, f"{BASE}/"])
def test_the_address_holds_the_attempt_and_a_token_of_128_bits(base: str) -> None:
    url = callback_url(base, KEY, [NEW])
    assert re.fullmatch(rf"{re.escape(BASE)}/callbacks/twilio/2000000000-1000001-12/[A-Za-z0-9_-]{{22}}", url)


def test_it_leads_back_to_the_attempt_with_new_and_old_keys() -> None:
    assert parse_callback_path(path_of(KEY, NEW, OLD), [NEW, OLD]) == KEY
    assert parse_callback_path(path_of(KEY, OLD), [NEW, OLD]) == KEY


def test_it_is_refused_once_its_key_is_gone_or_where_the_key_is_foreign() -> None:
    assert parse_callback_path(path_of(KEY, OLD), [NEW]) is None
    assert parse_callback_path(path_of(KEY, FOREIGN), [NEW, OLD]) is None
    assert parse_callback_path(path_of(KEY, NEW), []) is None


@pytest.mark.parametrize(
    "forged",
    [
        "/callbacks/twilio/2000000000-1000001-13/{token}",
        "/callbacks/twilio/2000000000-100000-112/{token}",
        "/callbacks/twilio/2000000000-1000001-12/{token}A",
        "/callbacks/twilio/2000000000-1000001-12/{token}/",
        "/callbacks/twilio/02000000000-1000001-12/{token}",
        "/callbacks/twilio/2000000000-1000001-12/AAAAAAAAAAAAAAAAAAAAAA",
        "/callbacks/twilio/2000000000-1000001-12/",
        "/callbacks/twilio/9999999999-1000001-12/{token}",
        "/callbacks/twilio/٢-٢-١/{token}",
        "/callbacks/twilio/2000000000-1000001-12/{token}\n",
    ],
)
def test_whatever_differs_from_it_is_refused(forged: str) -> None:
    token = path_of(KEY, NEW).rpartition("/")[2]
    assert parse_callback_path(forged.format(token=token), [NEW]) is None
