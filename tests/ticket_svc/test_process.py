"""The service as a process: SIGTERM ends it cleanly, and what runs is finished first."""

import asyncio
import os
import signal
import sys

import aiohttp

from deploy.local.names import SIGNING_KEYS, free_port
from tests.ticket_svc.conftest import NO_BROKER, TOKEN


async def test_sigterm_finishes_the_running_request_and_ends_with_0(
    ticket_database_url, sql, blocked
):
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "TICKET_DATABASE_URL": ticket_database_url,
        "TICKET_AMQP_URL": NO_BROKER,
        "TICKET_API_TOKEN": TOKEN,
        **{name: os.environ[name] for name in SIGNING_KEYS},
        "TICKET_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ticket_svc", env=environment, stderr=asyncio.subprocess.PIPE
    )
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Role": "user"}
    url = f"http://127.0.0.1:{port}/v1/tickets"
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(20):
        while True:
            try:
                async with session.get(url) as response:
                    assert response.status == 200
                    break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
        async with sql.transaction():
            await sql.execute("LOCK TABLE ticket_count IN EXCLUSIVE MODE")
            report = asyncio.create_task(session.post(url, json={"description": "A secret"}))
            await blocked(1)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
        assert (await report).status == 201
        _, log = await process.communicate()
    assert process.returncode == 0
    assert b"secret" not in log
    assert TOKEN.encode() not in log
