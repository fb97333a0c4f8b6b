"""A client of the HTTP API: a campaign's calls with its key."""

import json as json_module
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.api.served import Answer, ServedAPI


@dataclass(frozen=True)
class APIClient:
    """Calls for one campaign. A path is below the campaign's, such as `/messages`, or begins with `/api/`.

    `host` is where the server listens. Each call has a connection of its own.
    """

    port: int
    campaign_id: str
    key: str = field(repr=False)
    host: str = "127.0.0.1"

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return await self.call("GET", path, headers=headers)

    async def post(
        self,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """POST a JSON body or, as they stand, the bytes of `content`; neither: no body."""
        own: dict[str, str] = {}
        if content is None and json is not None:
            content = json_module.dumps(json, ensure_ascii=False).encode()
            own["Content-Type"] = "application/json"
        return await self.call("POST", path, content=content or b"", headers={**own, **(headers or {})})

    async def call(
        self, method: str, path: str, *, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any call. A header that is given stands instead of the client's own; an empty one is left out."""
        sent = {"Host": "x", "Authorization": f"Bearer {self.key}", **(headers or {}), "Connection": "close"}
        if content or method == "POST":
            sent["Content-Length"] = str(len(content))
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
        full = path if path.startswith("/api/") else f"/api/v2/campaigns/{self.campaign_id}{path}"
        head = f"{method} {full} HTTP/1.1\r\n{lines}\r\n"
        return await ServedAPI(self.port, host=self.host).say(head.encode() + content)
