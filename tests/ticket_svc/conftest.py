"""The service in-process on a fresh database, with and without a broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from runtime import writers
from tests.signing import signing_keys
from ticket_svc.app import build_app
from ticket_svc.database import SESSION
from ticket_svc.settings import Settings

TOKEN = "a token for tests"
# Nobody listens here, so that the service runs without a broker.
NO_BROKER = "amqp://nobody:nothing@127.0.0.1:1/campus"


class Answer(NamedTuple):
    """What came back; `body` is JSON where it says so, else text."""

    status: int
    headers: Any
    body: Any


class Api:
    """Calls the service with token and role; `expect` is the status that the test needs."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.app = client.server.app

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: str = "helpdesk",
        expect: int | None = None,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Role": role} | (headers or {})
        async with self.client.request(method, path, headers=headers, **arguments) as response:
            answer = Answer(response.status, response.headers, await _body(response))
        assert expect in (None, answer.status), answer
        return answer

    async def open(self, description: str = "The printer is on fire", **fields: Any) -> Any:
        """Open a ticket as a user and return it."""
        body = {"description": description} | fields
        return (await self.call("POST", "/v1/tickets", role="user", json=body, expect=201)).body

    async def get(self, ticket_id: int) -> Any:
        return (await self.call("GET", f"/v1/tickets/{ticket_id}", expect=200)).body

    async def list(self, query: str = "", role: str = "helpdesk") -> Any:
        return (await self.call("GET", f"/v1/tickets{query}", role=role, expect=200)).body

    async def edit(self, ticket: Any, role: str = "helpdesk", **fields: Any) -> Answer:
        """Edit from the version that the ticket shows."""
        return await self.call(
            "PATCH",
            f"/v1/tickets/{ticket['id']}",
            role=role,
            json=fields,
            headers={"If-Match": f'"{ticket["version"]}"'},
        )

    async def move(self, ticket: Any, status: str, role: str = "helpdesk") -> Answer:
        path = f"/v1/tickets/{ticket['id']}/status"
        return await self.call("PUT", path, role=role, json={"status": status})

    async def close(self, ticket: Any) -> Any:
        """Move an open ticket to closed and return it."""
        await self.move(ticket, "active")
        return (await self.move(ticket, "closed")).body

    async def send(self, ticket: Any, body: str, role: str = "user", **headers: str) -> Answer:
        path = f"/v1/tickets/{ticket['id']}/messages"
        return await self.call("POST", path, role=role, json={"body": body}, headers=headers)

    async def history(self, ticket: Any) -> Any:
        path = f"/v1/tickets/{ticket['id']}/history"
        return (await self.call("GET", path, expect=200)).body["items"]


async def _body(response: ClientResponse) -> Any:
    if response.content_type.endswith("json") and response.content_type != "application/x-ndjson":
        return await response.json(content_type=None)
    return await response.text()


@asynccontextmanager
async def serve(database_url: str, amqp_url: str = NO_BROKER) -> AsyncIterator[Api]:
    """Run the service."""
    settings = Settings(database_url, amqp_url, TOKEN, signing_keys(), "127.0.0.1", 0)
    async with TestClient(TestServer(build_app(settings))) as client:
        yield Api(client)


@pytest.fixture
async def api(ticket_database_url: str) -> AsyncIterator[Api]:
    """Return the service without a broker: everything but events works."""
    async with serve(ticket_database_url) as service:
        yield service


@pytest.fixture
async def api_with_broker(ticket_database_url: str, broker: Any) -> AsyncIterator[Api]:
    """Return the service with its part of a broker."""
    async with serve(ticket_database_url, broker.url("ticket_svc")) as service:
        yield service


@pytest.fixture
async def second_api(ticket_database_url: str, broker: Any) -> AsyncIterator[Api]:
    """Return another replica on the same database and broker."""
    async with serve(ticket_database_url, broker.url("ticket_svc")) as service:
        yield service


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service wait for a ticket as long as a busy machine takes; use it before `api`."""
    monkeypatch.setitem(SESSION, "lock_timeout", "8000")
    monkeypatch.setattr(writers, "WAIT_SECONDS", 8.0)


@pytest.fixture
async def sql(ticket_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Return a connection beside the service's own."""
    connection = await asyncpg.connect(
        ticket_database_url, server_settings={"search_path": "tickets, extensions"}
    )
    yield connection
    await connection.close()


async def wait_for_blocked(sql: asyncpg.Connection, sessions: int) -> None:
    """Return once that many other sessions wait for a lock: the proof that a race is on."""
    async with asyncio.timeout(5):
        while True:
            # Inside a transaction the view would stay as it was when first read.
            await sql.execute("SELECT pg_stat_clear_snapshot()")
            waiting = await sql.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if waiting >= sessions:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
def blocked(sql: asyncpg.Connection) -> Any:
    """Return the wait for a number of blocked sessions."""
    return lambda sessions: wait_for_blocked(sql, sessions)
