"""Clocks of two machines may differ by hours: no request is late for that."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.topology import RPC_CLASSIFY, RPC_REPORT_UNCLOSED
from tests.bus.test_rpc import REQUEST, Echo, client_of
from tests.conftest import ROOT, Broker

# A machine with a wrong clock, as far as Python programs see it.
WORKER = """
import sys, threading, time

reports_url, classify_url, hours = sys.argv[1], sys.argv[2], float(sys.argv[3])
time_, time_ns = time.time, time.time_ns
time.time = lambda: time_() + 3_600 * hours
time.time_ns = lambda: time_ns() + int(3_600e9 * hours)

import asyncio
from bus.pika_server import PikaServer
from bus.pika_services import RpcService
from bus.rpc_server import RpcServer
from contracts.reports import UnclosedRequest
from tests.bus.test_rpc import Echo, echo

def classify(requests):
    return [Echo(value=request.last) for request in requests]

services = [RpcService("rpc.classify", UnclosedRequest, classify)]
classifier = PikaServer(classify_url, "wrong clock", services)
threading.Thread(target=classifier.run, daemon=True).start()
reports = RpcServer("rpc.report.unclosed_in_period", UnclosedRequest, echo)
asyncio.run(reports.run(reports_url, "wrong clock"))
"""


@asynccontextmanager
async def wrong_clock(broker: Broker, hours: float) -> AsyncIterator[RpcClient]:
    urls = broker.url("analytics_svc"), broker.url("classifier_svc")
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, *urls, str(hours)), cwd=ROOT
    )
    try:
        async with client_of(broker) as client:
            yield client
    finally:
        worker.kill()
        await worker.wait()


async def test_a_worker_whose_clock_is_hours_ahead_answers(broker: Broker) -> None:
    async with wrong_clock(broker, 3) as client, asyncio.timeout(20):
        for queue in (RPC_REPORT_UNCLOSED, RPC_CLASSIFY):
            assert (await _call_once_served(client, queue)).value == REQUEST.last


async def _call_once_served(client: RpcClient, queue: str) -> Echo:
    while True:
        try:
            return await client.call(queue, REQUEST, Echo, 2)
        except RpcError as error:
            if "No worker" not in str(error):
                raise
            await asyncio.sleep(0.1)
