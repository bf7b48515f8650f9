"""What a service that keeps a session may rely on: it goes on after every loss."""

import asyncio
import gc
import logging
import warnings

import pytest
from aio_pika.abc import AbstractChannel

from bus.connection import keep_session
from bus.link import Link
from tests.bus.test_rpc import running, until
from tests.conftest import Broker

# How the client tells who waits that the connection ended, beside its own errors.
ENDS = [Exception(), asyncio.CancelledError(), ConnectionResetError()]


@pytest.mark.parametrize("end", ENDS, ids=repr)
async def test_a_connection_that_ends_in_any_way_is_a_loss_and_no_failure(
    broker: Broker, caplog: pytest.LogCaptureFixture, end: BaseException
) -> None:
    sessions = 0

    async def session(_channel: AbstractChannel) -> None:
        nonlocal sessions
        sessions += 1
        if sessions == 1:
            raise end
        await asyncio.sleep(60)

    async with running(keep_session(broker.url("analytics_svc"), "test", session)):
        await until(lambda: sessions == 2)
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "connection lost" in said.getMessage()
    assert said.exc_info is None


async def test_a_session_that_fails_by_a_defect_says_where_and_is_started_again(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = 0

    async def session(_channel: AbstractChannel) -> None:
        nonlocal sessions
        sessions += 1
        if sessions == 1:
            raise ZeroDivisionError
        await asyncio.sleep(60)

    async with running(keep_session(broker.url("analytics_svc"), "test", session)):
        await until(lambda: sessions == 2)
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.exc_info is not None


async def test_what_a_refused_connection_leaves_behind_is_nobody_s_work() -> None:
    async def session(_channel: AbstractChannel) -> None:
        raise AssertionError("nothing listens there")

    link = Link()
    gc.disable()
    try:
        async with running(keep_session("amqp://127.0.0.1:9/", "test", session, link)):
            await until(lambda: "Connect call failed" in link.reason)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            await asyncio.to_thread(gc.collect)  # where no loop runs, as between two tests
    finally:
        gc.enable()
    assert [str(one.message) for one in warned] == []
