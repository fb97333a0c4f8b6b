"""Why a call is refused: two shapes of an error's body, exactly these keys (8-api.md §4)."""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from web.answers import error_answer

# An id of shape B has at most 19 digits, so that it fits a signed number of 64 bits.
_IDS: Final = 10**19 - 1


class CallRefused(Exception, ABC):  # noqa: N818 - read as a fact about a call
    """The call is refused; `answer` is what its caller gets."""

    @abstractmethod
    def answer(self) -> Response:
        """The answer."""


class RequestRefused(CallRefused):
    """Shape A: something about the request. `message` names the field in one sentence; empty: the status's own words."""

    def __init__(self, status: int, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def answer(self) -> Response:
        """Shape A."""
        return error_answer(self.status, self.headers, message=self.message)


class DomainRefused(CallRefused):
    """Shape B: something about the domain. `message` quotes no value longer than 40 characters, and no key.

    `id` finds the line in the log.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.id = str(secrets.randbelow(_IDS) + 1)

    def body(self) -> bytes:
        """The body, byte for byte."""
        error = {"code": self.code, "message": self.message, "type": "domain_error", "id": self.id}
        return json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode()

    def answer(self) -> Response:
        """Shape B."""
        return Response(self.body(), self.status, media_type="application/json")
