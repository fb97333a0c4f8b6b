"""How long a request may take to come in, and how an endpoint allows one of its requests more.

A request has 10 s from its first byte to its last. Whoever is entitled to send much may take longer, as long as something comes:
`allow_long_body` says so, once the caller is known and before the body is read. It holds for that request alone.
"""

from collections.abc import Callable
from typing import Final

from starlette.types import Scope

# Seconds for a whole request, from its first byte or from the connection's beginning.
REQUEST_SECONDS: Final = 10.0
# Seconds for a long body that was allowed; and those without a byte of it, while we are ready to take some.
LONG_BODY_SECONDS: Final = 15 * 60.0
QUIET_SECONDS: Final = 30.0


def allow_long_body(scope: Scope) -> None:
    """Let this request's body take up to LONG_BODY_SECONDS from now, if never QUIET_SECONDS pass without a byte of it.

    Call it after admission and before the first `receive`. Too slow a body ends the connection: `receive` then gives
    `http.disconnect` (starlette: ClientDisconnect). Reading is paused while the endpoint takes nothing, so that a body never
    needs more memory than the buffer of its connection, and such pauses of our own don't count as quiet.
    """
    allow: Callable[[], None] | None = scope["state"].get("allow_long_body")
    if allow is not None:
        allow()
