"""Work that nobody waits for ends, and nothing of it is left when the request has ended."""

import asyncio
import gc

import pytest
from aiohttp.test_utils import make_mocked_request

from runtime.abandoned import while_awaited


async def test_an_abandoned_request_ends_after_its_work_has_given_everything_back() -> None:
    request = make_mocked_request("GET", "/")
    begun, steps = asyncio.Event(), []

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(3):  # as a connection is given back: not at once
                await asyncio.sleep(0)
            steps.append("given back")

    serving = asyncio.create_task(while_awaited(request, work()))
    await begun.wait()
    request.protocol.transport = None
    with pytest.raises(ConnectionResetError):
        await serving
    assert steps == ["given back"]


async def test_an_error_of_abandoned_work_is_nobody_s() -> None:
    request = make_mocked_request("GET", "/")
    begun, lost = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("the connection was lost meanwhile") from None

    serving = asyncio.create_task(while_awaited(request, work()))
    await begun.wait()
    request.protocol.transport = None
    with pytest.raises(ConnectionResetError):
        await serving
    del serving
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert lost == []


async def test_work_that_ends_first_gives_its_result_or_its_error() -> None:
    request = make_mocked_request("GET", "/")

    async def fail() -> None:
        raise LookupError

    assert await while_awaited(request, asyncio.sleep(0, "found")) == "found"
    with pytest.raises(LookupError):
        await while_awaited(request, fail())
