"""Ends work that nobody waits for any more.

aiohttp cancels a handler whose caller has gone either everywhere, in the middle of a write too, or
nowhere. It is nowhere here, and this is for reads that callers abandon all the time.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

# Far longer than such a read takes, unless something is slow: looking costs nothing then.
LOOK_SECONDS = 0.05

ResultT = TypeVar("ResultT")


async def while_awaited(request: web.Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return what `work` returns; cancels it, and raises ConnectionResetError, if the caller goes.

    Returns or raises only when the work has ended, since it may hold a connection until then.
    The caller is looked for every LOOK_SECONDS, since aiohttp has no call for its going.
    """
    task = asyncio.create_task(work)
    try:
        while not task.done():
            if request.transport is None:
                raise ConnectionResetError("The caller has gone.")
            await asyncio.wait({task}, timeout=LOOK_SECONDS)
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
