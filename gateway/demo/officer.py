"""The officer of the demo: logs in to the console over HTTP, as a browser without scripts does, and looks at a page."""

import http.client
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Final
from urllib.parse import urlencode

from gateway.errors import EmbeddedError

_FORM_ID: Final = re.compile(r'name="form_id" value="([\w-]+)"')
_TITLE: Final = re.compile(r"<h1[^>]*>(.*?)</h1>", re.DOTALL)
# How the subject of the e-mail with a login code begins.
_CODE: Final = re.compile(r"([2-7A-Z]{6}) is your code")


def code_in(subject: str) -> str | None:
    """The login code that an e-mail brings, by its subject; None where it is another e-mail."""
    found = _CODE.match(subject)
    return found[1] if found else None


@dataclass
class Officer:
    """Has one browser, which knows the console at a port of loopback."""

    email: str
    port: int
    _cookies: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        """What is typed into a browser."""
        return f"http://127.0.0.1:{self.port}/"

    def log_in(self, read_code: Callable[[], str]) -> None:
        """Ask for a code, read it, type it. Raises EmbeddedError where the console doesn't let the officer in."""
        page = self._ask("GET", "/login")
        page = self._send(page, "/login", email=self.email)
        self._send(self._ask("GET", "/login/code"), "/login/code", code=read_code())
        if self.email not in self.page("/"):
            raise EmbeddedError("the console did not let the officer in")

    def page(self, path: str) -> str:
        """The page as this officer sees it. Raises EmbeddedError."""
        return self._ask("GET", path)

    def _send(self, page: str, path: str, **fields: str) -> str:
        found = _FORM_ID.search(page)
        if found is None:
            raise EmbeddedError(f"the console's page for {path} has no form: {_title_of(page)}")
        return self._ask("POST", path, urlencode({"form_id": found[1], **fields}))

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Sec-Fetch-Site": "same-origin",
            "User-Agent": "the demo",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise EmbeddedError(f"the console could not be asked: {error}") from None
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise EmbeddedError(f"the console answers {answer.status} to {path}: {_title_of(content)}")
        return content


def _title_of(page: str) -> str:
    found = _TITLE.search(page)
    return unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else "it has no title"
