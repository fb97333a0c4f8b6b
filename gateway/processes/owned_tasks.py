"""A task that ends with the block it belongs to, for where an `asyncio.TaskGroup` would wrap the block's own errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@contextlib.asynccontextmanager
async def owned_task(coroutine: Coroutine[Any, Any, T], *, name: str) -> AsyncIterator[asyncio.Task[T]]:
    """Run `coroutine` beside the block; at the block's end it is cancelled, if it still runs, and waited for.

    What the task raised is raised at the end of the block, unless the block itself raised something.
    """
    task = asyncio.create_task(coroutine, name=name)
    try:
        yield task
    finally:
        task.cancel()
        # `wait` doesn't raise what the task raised, so a cancellation seen here is always the caller's own.
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
