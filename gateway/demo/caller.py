"""The agency of the demo as a caller of the HTTP API: with curl, as typed, or by itself where curl isn't installed."""

import json
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from gateway.errors import EmbeddedError


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a POST where it has a body, else a GET."""

    url: str
    key: str = field(repr=False)
    body: str | None = None

    @property
    def line(self) -> str:
        """What to type."""
        words = ["curl", "-sS", self.url, "-H", f"Authorization: Bearer {self.key}"]
        if self.body is not None:
            words += ["-H", "Content-Type: application/json", "-d", self.body]
        return shlex.join(words)

    def make(self) -> str:
        """The answer's body. Raises EmbeddedError where the call fails, or the answer is no good one."""
        content = self._by_curl() if shutil.which("curl") else self._by_itself()
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {}
        if "id" not in answer:
            raise EmbeddedError(f"the API did not answer as it should: {content[:200]}")
        return content

    def _by_curl(self) -> str:
        done = subprocess.run(
            ["sh", "-c", self.line], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
        if done.returncode != 0:
            raise EmbeddedError(f"curl could not call the API: {done.stderr.strip()}")
        return done.stdout

    def _by_itself(self) -> str:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if self.body is None else self.body.encode()
        request = urllib.request.Request(self.url, data, headers)  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            return str(error.read(), "utf-8", "replace")
        except OSError as error:
            raise EmbeddedError(f"the API could not be called: {error}") from None


@dataclass(frozen=True, slots=True)
class Caller:
    """It calls for one campaign, by a server on loopback."""

    campaign_id: str
    port: int
    key: str = field(repr=False)

    @property
    def base(self) -> str:
        """What all addresses of its campaign begin with."""
        return f"http://127.0.0.1:{self.port}/api/v2/campaigns/{self.campaign_id}"

    def send(self, message: dict[str, object]) -> Call:
        """The call that sends one message."""
        return Call(f"{self.base}/messages", self.key, json.dumps(message, ensure_ascii=False))

    def retrieve(self, message_id: str) -> Call:
        """The call that asks what became of it."""
        return Call(f"{self.base}/messages/{message_id}", self.key)
