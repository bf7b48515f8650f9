"""Connections to the database that stay open and carry nothing: new ones are made."""

import asyncio
import time

from aiohttp.test_utils import TestClient, TestServer

from contracts.topology import ANALYTICS_TICKETS
from tests.cable import Cable
from tests.signing import signing_keys
from tests.ticket_svc.conftest import TOKEN, Api
from tests.ticket_svc.test_relay import channel as channel
from tests.ticket_svc.test_relay import take, wait_until_relayed
from ticket_svc import database
from ticket_svc.app import build_app
from ticket_svc.settings import Settings


async def test_tickets_and_events_go_on_after_every_session_fell_silent_and_so_does_a_stop(
    ticket_database_url, broker, channel, sql, monkeypatch
):
    monkeypatch.setattr(database, "COMMAND_SECONDS", 1.0)
    async with Cable(ticket_database_url) as cable:
        settings = Settings(
            cable.url, broker.url("ticket_svc"), TOKEN, signing_keys(), "127.0.0.1", 0
        )
        client = TestClient(TestServer(build_app(settings)))
        await client.start_server()
        api = Api(client)
        await api.open("No light")
        await take(channel, ANALYTICS_TICKETS, 1)
        await wait_until_relayed(sql)  # what is locked is free again only when PostgreSQL says so
        cable.silence()
        fields = {"description": "Still no light"}
        async with asyncio.timeout(10):
            while (await api.call("POST", "/v1/tickets", role="user", json=fields)).status != 201:
                pass
        await take(channel, ANALYTICS_TICKETS, 1)
        cable.silence()
        asking = asyncio.create_task(api.call("GET", "/v1/tickets"))
        await asyncio.sleep(0.1)
        stopping = time.monotonic()
        async with asyncio.timeout(15):
            await client.close()
        assert time.monotonic() - stopping < 8
        await asyncio.gather(asking, return_exceptions=True)
