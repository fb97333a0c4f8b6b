"""The whole document: for the page `/api/v2/openapi.json`, and for the command `openapi`."""

import json
from functools import cache
from importlib.metadata import version
from typing import Final

from api.openapi.answers import ANSWERS, DOMAIN_CODES, HEADERS
from api.openapi.operations import PARAMETERS, PATHS
from api.openapi.schemas import SCHEMAS

_CODES: Final = "\n".join(f"- `{code}`: {meaning}" for code, meaning in DOMAIN_CODES.items())
_DESCRIPTION: Final = f"""\
Sends SMS of one campaign, singly or from a CSV, and tells what became of them.

- HTTPS only, JSON in and out. Each call has the header `Authorization: Bearer KEY`, and comes from an address that the
  campaign allows.
- A campaign's calls are limited, 10 a second as a rule: those beyond it are dropped with 429, never queued.
- Bodies are strict JSON of at most 64 KiB. A key that isn't known is refused; answers may get further keys.
- HEAD is GET without its body. A slash at the end of a path is another path, which is not there.
- An error about the request has `message` and `statusCode`; one about what it asks for has `error`, with one of these codes:

{_CODES}
"""


def openapi_document() -> dict[str, object]:
    """The document, as JSON values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SMS gateway",
            "version": version("sftp-gateway"),
            "summary": "SMS of public agencies, by HTTP.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Wherever the document came from.
        "servers": [{"url": "/api/v2"}],
        "security": [{"key": []}],
        "paths": dict(PATHS),
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the campaign: `key_live_…`.",
                }
            },
            "parameters": dict(PARAMETERS),
            "headers": dict(HEADERS),
            "responses": dict(ANSWERS),
            "schemas": dict(SCHEMAS),
        },
    }


@cache
def openapi_json() -> bytes:
    """The document as the page has it."""
    return json.dumps(openapi_document(), ensure_ascii=False, separators=(",", ":")).encode()
