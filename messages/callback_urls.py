"""The address under which a provider tells news of one attempt: made here for the hand-over, checked by `api` when it is called.

A provider's callbacks prove nothing by themselves, as the gateway has no secret in common with it that could sign them
(data/twilio.md). So each attempt's address holds a token that only this gateway can make.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from messages.news import AttemptKey

# What comes after it in a path: batch number, row and attempt, and the token.
TWILIO_PATH: Final = "/callbacks/twilio/"
_CALLBACK: Final = re.compile(
    r"/callbacks/twilio/([1-9]\d{0,9})-([1-9]\d{0,9})-([1-9]\d{0,4})/([A-Za-z0-9_-]{22})", re.ASCII
)
_TOKEN_BYTES: Final = 16


def callback_url(base_url: str, key: AttemptKey, callback_keys: Sequence[bytes]) -> str:
    """The address for this attempt, signed with the first of the keys, which are those of `secret_keys.Keys`, newest first."""
    return f"{base_url.rstrip('/')}{TWILIO_PATH}{_words(key)}/{_token(callback_keys[0], key)}"


def parse_callback_path(path: str, callback_keys: Sequence[bytes]) -> AttemptKey | None:
    """The attempt that this path names, or None where it has another form, or a token made with none of these keys."""
    match = _CALLBACK.fullmatch(path)
    if match is None:
        return None
    key = AttemptKey(int(match[1]), int(match[2]), int(match[3]))
    if max(key.batch_no, key.row_number) >= 2**31 or key.attempt >= 2**15:
        return None
    # Each is compared, whichever fits, so that the time taken tells nothing.
    fits = [hmac.compare_digest(match[4], _token(callback_key, key)) for callback_key in callback_keys]
    return key if any(fits) else None


def _words(key: AttemptKey) -> str:
    return f"{key.batch_no}-{key.row_number}-{key.attempt}"


def _token(callback_key: bytes, key: AttemptKey) -> str:
    signed = _begun(callback_key).copy()
    signed.update(_words(key).encode())
    return urlsafe_b64encode(signed.digest()[:_TOKEN_BYTES]).rstrip(b"=").decode()


@lru_cache(maxsize=16)
def _begun(callback_key: bytes) -> "hmac.HMAC":
    return hmac.new(callback_key, digestmod="sha256")
