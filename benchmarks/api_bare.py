"""The bare handler that the API's single send is measured beside: it reads JSON, inserts one row, and answers 201.

Same servers as the API's, without anything that makes a call safe: no key, no rate, no rule, no group. `DATABASE_URL` says
where: `python -m benchmarks.api_bare PORT`.
"""

import contextlib
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TABLE: Final = "create table if not exists bare_messages (id text primary key, recipient text, language text, values jsonb)"
_INSERT: Final = "insert into bare_messages (id, recipient, language, values) values ($1, $2, $3, $4)"
# As many connections as an API process may have.
CONNECTIONS: Final = 10


@contextlib.asynccontextmanager
async def _open_pool(app: Starlette) -> AsyncIterator[None]:
    pool = asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool as app.state.pool:
        yield


async def _send(request: Request) -> Response:
    body: dict[str, Any] = json.loads(await request.body())
    message_id = f"message_{uuid.uuid4()}"
    await request.app.state.pool.execute(
        _INSERT, message_id, body["recipient"], body["language"], json.dumps(body["values"])
    )
    return JSONResponse({"id": message_id, **body}, 201)


def main() -> None:
    """Serve until a signal."""
    app = Starlette(routes=[Route("/send", _send, methods=["POST"])], lifespan=_open_pool)
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
        log_level="warning",
    )  # fmt: skip


if __name__ == "__main__":
    main()
