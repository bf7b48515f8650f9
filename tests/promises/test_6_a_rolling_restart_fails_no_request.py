"""Promise 1, the peaceful half: SIGTERM fails no request that was accepted.

Two replicas of every service, a load balancer without retries in front of web and of the ticket
service, clients that never send anything twice; then every replica is stopped and started again.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import aiohttp
import pytest

from deploy.local.names import SERVICES, Names
from tests.balancer import Balancer
from tests.conftest import Stack, free_ports, run_stack

SEED = 5
PEOPLE = 8
DRAIN = {"DRAIN_SECONDS": "1"}
ANALYSES = ("unclosed", "resolution", "active")


@asynccontextmanager
async def two_replicas(names: Names, label: str) -> AsyncIterator[tuple[list[Stack], str]]:
    """Run two of each service; yield them, and the address of the pages."""
    async with run_stack(names, label, services=()) as first:
        ports = (first.names.ports, free_ports())
        web, tickets = (Balancer(*(p[part] for p in ports)) for part in ("web", "ticket_api"))
        for balancer in (web, tickets):
            await balancer.mend()
        values = first.names.values | {"TICKET_API_URL": f"http://127.0.0.1:{tickets.port}"}
        stacks = [
            Stack(
                replace(first.names, values=values, ports=p),
                first.broker,
                settings={
                    "web": DRAIN | {"WEB_PORT": str(p["web"])},
                    "ticket_svc": DRAIN | {"TICKET_PORT": str(p["ticket_api"])},
                },
            )
            for p in ports
        ]
        checks = [asyncio.create_task(balancer.check()) for balancer in (web, tickets)]
        try:
            for service, stack in itertools.product(SERVICES, stacks):
                await asyncio.to_thread(stack.start, service)
            yield stacks, f"http://127.0.0.1:{web.port}"
        finally:
            for stack in stacks:
                for service in list(stack.processes):
                    await asyncio.to_thread(stack.stop, service)
            for check in checks:
                check.cancel()
            for balancer in (web, tickets):
                await balancer.cut()


async def somebody(url: str, chance: random.Random, answers: Counter[str], until: asyncio.Event):
    """Report, look, write, read reports; count what comes back."""
    headers = {"Cookie": "role=helpdesk"}
    async with aiohttp.ClientSession(headers=headers) as session:
        # A browser would send it again; here that would hide a failure.
        session._retry_connection = False

        async def ask(method: str, path: str, **form: str) -> str:
            try:
                async with session.request(
                    method, url + path, data=form or None, allow_redirects=False
                ) as answer:
                    await answer.read()
                    answers[f"{method} {answer.status}"] += 1
                    return answer.headers.get("Location", "")
            except (aiohttp.ClientError, TimeoutError) as error:
                answers[f"{method} {error!r}"] += 1
                return ""

        while not until.is_set():
            key = str(UUID(int=chance.getrandbits(128), version=4))
            page = await ask("POST", "/tickets", text=f"No light, {key}", key=key)
            await ask("POST", f"{page}/messages", text=f"Still dark, {key}", key=key)
            await ask("GET", page)
            await ask("GET", "/tickets")
            await ask("POST", f"{page}/status", status="active")
            await ask("GET", f"/analytics/{chance.choice(ANALYSES)}")
            await asyncio.sleep(0.05)


@pytest.mark.timeout(240)
async def test_every_service_is_restarted_under_load_and_no_request_fails(
    names: Names, worker_id: str
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    answers: Counter[str] = Counter()
    done = asyncio.Event()
    async with two_replicas(names, f"{worker_id}_rolling") as (stacks, url):
        people = [asyncio.create_task(somebody(url, chance, answers, done)) for _ in range(PEOPLE)]
        for service, stack in itertools.product(SERVICES, stacks):
            await asyncio.sleep(0.3)
            assert await asyncio.to_thread(stack.stop, service) == 0
            await asyncio.to_thread(stack.start, service)
        await asyncio.sleep(0.5)
        done.set()
        await asyncio.gather(*people)
    print(answers)
    assert set(answers) == {"GET 200", "POST 303"}
    assert answers.total() > 500
