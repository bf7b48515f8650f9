"""The classifier as a process of its own, asked over RabbitMQ."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from classifier_svc import encoder, model
from contracts.messages import Classification, ClassifyRequest
from contracts.topology import RPC_CLASSIFY
from tests.conftest import ROOT, Broker

START_SECONDS = 15.0


@asynccontextmanager
async def running_service(url: str | None) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {"PATH": os.environ["PATH"]} | ({"CLASSIFIER_AMQP_URL": url} if url else {})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "classifier_svc",
        cwd=ROOT,
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answered(client: RpcClient, text: str) -> Classification:
    """Ask until the service has started, however long that takes on a busy machine."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                request = ClassifyRequest(text=text)
                return await client.call(RPC_CLASSIFY, request, Classification, timeout_s=2)
            except RpcError as error:
                if error.code != "unavailable":
                    raise
                await asyncio.sleep(0.2)


async def test_a_request_gets_what_the_model_says_and_sigterm_ends_cleanly(broker: Broker) -> None:
    client = RpcClient(broker.url("web"), "test client")
    connection = asyncio.create_task(client.run())
    async with running_service(broker.url("classifier_svc")) as process:
        text = "not the Wi-Fi this time, the sockets"
        answer = await answered(client, text)
        (expected,) = model.load(encoder.load()).classify([text])
        assert answer.scores == pytest.approx(expected.scores)
        same = {"category", "because", "model"}
        assert answer.model_dump(include=same) == expected.model_dump(include=same)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    connection.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connection


async def test_a_missing_setting_is_named_and_ends_the_start() -> None:
    async with running_service(None) as process:
        _, said = await process.communicate()
        assert process.returncode == 2
        assert "CLASSIFIER_AMQP_URL" in said.decode()
