"""The classifier as a process of its own, asked over RabbitMQ."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from classifier_svc import encoder, model
from classifier_svc.corrections import CORRECTIONS_FILE, Corrections
from contracts.messages import Classification, ClassifyRequest
from contracts.topology import CLASSIFIER_CORRECTIONS, RPC_CLASSIFY
from deploy.local.names import free_port
from tests.bus.test_dead_letters import event
from tests.bus.test_rpc import publish
from tests.cable import Cable
from tests.conftest import ROOT, Broker
from tests.signing import MESSAGE_ID, signatures

START_SECONDS = 15.0


@asynccontextmanager
async def running_service(
    url: str | None, settings: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    known = ("PATH", "CLASSIFIER_EVENTS_KEY")
    environment = {name: os.environ[name] for name in known} | (
        {"CLASSIFIER_AMQP_URL": url} if url else {}
    )
    environment |= settings or {}
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


async def test_ready_says_why_the_broker_is_away_and_what_waits_for_its_disk(
    broker: Broker, tmp_path: Path
) -> None:
    corrected = event(category="technical_it", category_source="helpdesk")
    port = free_port()
    volume = tmp_path / "volume"
    volume.write_text("no folder")
    environment = {
        "CLASSIFIER_METRICS_PORT": str(port),
        "CLASSIFIER_DATA_DIR": str(volume),
    }

    async def ready(status: int, word: str) -> None:
        async with aiohttp.ClientSession() as http, asyncio.timeout(START_SECONDS):
            while True:
                with suppress(aiohttp.ClientError):
                    async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                        if answer.status == status and word in await answer.text():
                            return
                await asyncio.sleep(0.1)

    async with Cable(broker.url("classifier_svc")) as cable:
        await cable.cut()
        async with running_service(cable.url, environment):
            await ready(503, "refused")
            await cable.mend()
            await publish(
                broker,
                CLASSIFIER_CORRECTIONS,
                corrected,
                headers=signatures(corrected, "ticket.categorised"),
                type="ticket.categorised",
                message_id=MESSAGE_ID,
            )
            await ready(200, "corrections: ")
            volume.unlink()
            await ready(200, '"degraded": []')
    (kept,) = Corrections(volume / CORRECTIONS_FILE).read()
    assert kept.ticket_id == 7
