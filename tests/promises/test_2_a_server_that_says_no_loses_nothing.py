"""Promise 2, where a server is there and says no to everybody: what waits is kept, and nothing is
a dead letter. PostgreSQL really says it, in a database and as a role of the test's own.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import aiohttp
import asyncpg
import pytest

from contracts.topology import DURABLE_QUEUES, TICKET_CATEGORISED, dead_letter_queue
from tests.conftest import AMQP_NAMES, Broker, Names, Stack, create_database, free_ports
from tests.signing import asked

PASSWORD = "of-the-test's-own"


@dataclass(frozen=True)
class No:
    """How the server is made to say no, and to take it back; `code` is what it says."""

    code: str
    say: tuple[str, ...]
    take_back: tuple[str, ...]
    # Sessions of before know nothing of it.
    is_for_new_sessions: bool = False


def _raised(code: str) -> No:
    """Return a table that fails as a broken disk does, which cannot be had otherwise."""
    function = (
        "CREATE OR REPLACE FUNCTION public.say_no() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN RAISE 'no' USING ERRCODE = '{code}'; END $$"
    )
    trigger = (
        "CREATE TRIGGER say_no BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION public.say_no()"
    )
    return No(code, (function, trigger), ("DROP TRIGGER say_no ON {table}",))


NOES = (
    No(
        "28P01",
        ("ALTER ROLE {role} PASSWORD 'another'",),
        (f"ALTER ROLE {{role}} PASSWORD '{PASSWORD.replace(chr(39), 2 * chr(39))}'",),
        is_for_new_sessions=True,
    ),
    No("28000", ("ALTER ROLE {role} NOLOGIN",), ("ALTER ROLE {role} LOGIN",), True),
    No(
        "53300",
        ("ALTER ROLE {role} CONNECTION LIMIT 0",),
        ("ALTER ROLE {role} CONNECTION LIMIT -1",),
        True,
    ),
    No(
        "55000",
        ("ALTER DATABASE {database} ALLOW_CONNECTIONS false",),
        ("ALTER DATABASE {database} ALLOW_CONNECTIONS true",),
        True,
    ),
    No(
        "42501",
        ("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",),
        ("GRANT CONNECT ON DATABASE {database} TO PUBLIC",),
        True,
    ),
    No(
        "25006",
        ("ALTER DATABASE {database} SET default_transaction_read_only = on",),
        ("ALTER DATABASE {database} RESET default_transaction_read_only",),
        True,
    ),
    No("42P01", ("ALTER TABLE {table} RENAME TO gone",), ("ALTER TABLE {gone} RENAME TO {name}",)),
    No("42501", ("REVOKE ALL ON {table} FROM {owner}",), ("GRANT ALL ON {table} TO {owner}",)),
    _raised("58030"),
    _raised("53100"),
    _raised("XX001"),
)


@dataclass(frozen=True)
class Server:
    """One service's database and role, as PostgreSQL's administrator has them."""

    names: Names
    database: str
    role: str
    owner: str
    table: str

    async def create(self) -> str:
        """Make the role, and return its address."""
        await self.run(
            f"CREATE ROLE {self.role} LOGIN IN ROLE {self.owner}",
            f"ALTER ROLE {self.role} PASSWORD '{PASSWORD.replace(chr(39), 2 * chr(39))}'",
            f"ALTER ROLE {self.role} SET search_path = {self.table.split('.')[0]}, extensions",
        )
        parts = urlsplit(self.names["TICKET_DATABASE_URL"])
        netloc = f"{self.role}:{PASSWORD}@{parts.hostname}:{parts.port}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{self.database}"))

    async def run(self, *statements: str) -> None:
        schema, name = self.table.split(".")
        for statement in statements:
            # Where nobody may connect to a database, its own name leads nowhere.
            at = "postgres" if statement.startswith("ALTER DATABASE") else self.database
            connection = await self._connect(at)
            try:
                await connection.execute(
                    statement.replace("{database}", self.database)
                    .replace("{role}", self.role)
                    .replace("{owner}", self.owner)
                    .replace("{table}", self.table)
                    .replace("{gone}", f"{schema}.gone")
                    .replace("{name}", name)
                )
            finally:
                await connection.close()

    async def say(self, no: No) -> None:
        await self.run(*no.say)
        if no.is_for_new_sessions:
            connection = await self._connect("postgres")
            try:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
                    self.role,
                )
            finally:
                await connection.close()

    async def fetch(self, query: str) -> Any:
        connection = await self._connect(self.database)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def _connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        parts = urlsplit(self.names["TICKET_DATABASE_URL"])
        return await asyncpg.connect(
            host=parts.hostname,
            port=parts.port,
            user="postgres",
            password=self.names["POSTGRES_PASSWORD"],
            database=database,
        )


@dataclass(frozen=True)
class Campus:
    """Ticket and analytics service, each with a server that can say no to it alone."""

    stack: Stack
    tickets: Server
    reports: Server
    http: aiohttp.ClientSession

    async def post(self, text: str, key: str) -> aiohttp.ClientResponse:
        return await self.http.post(
            f"{self.stack['TICKET_API_URL']}/v1/tickets",
            json={"description": text},
            headers={"X-Role": "user", "Idempotency-Key": key},
        )

    async def ready(self, service: str) -> tuple[int, str]:
        async with self.http.get(self.stack.health(service)) as answer:
            return answer.status, json.dumps((await answer.json()).get("reasons"))


@pytest.fixture
async def campus(names: Names, worker_id: str) -> AsyncIterator[Campus]:
    async with _campus(names, worker_id) as campus:
        yield campus


@asynccontextmanager
async def _campus(names: Names, worker_id: str) -> AsyncIterator[Campus]:
    servers = [
        Server(names, await create_database(names, worker_id), f"{owner}_{worker_id}", owner, table)
        for owner, table in (
            ("ticket_svc", "tickets.ticket"),
            ("analytics_svc", "analytics.ticket_state"),
        )
    ]
    broker = Broker(names, f"no-{worker_id}")
    broker.create()
    ports = free_ports()
    values = dict(names.values) | {
        "TICKET_DATABASE_URL": await servers[0].create(),
        "ANALYTICS_DATABASE_URL": await servers[1].create(),
        "TICKET_API_URL": f"http://127.0.0.1:{ports['ticket_api']}",
    }
    values |= {name: broker.url(user) for user, name in AMQP_NAMES.items()}
    stack = Stack(replace(names, values=values, ports=ports), broker)
    headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
    try:
        for service in ("ticket_svc", "analytics_svc"):
            await asyncio.to_thread(stack.start, service)
        async with aiohttp.ClientSession(headers=headers) as http:
            yield Campus(stack, *servers, http)
    finally:
        for service in list(stack.processes):
            await asyncio.to_thread(stack.stop, service)
        broker.delete()
        for server in servers:
            await server.run(f"DROP ROLE {server.role}")


async def _until(check: Any, what: str) -> Any:
    with suppress(TimeoutError):
        async with asyncio.timeout(15):
            while not (found := await check()):
                await asyncio.sleep(0.03)
            return found
    pytest.fail(what)


async def test_whatever_postgresql_says_no_with_nothing_is_lost_and_all_comes_back(
    campus: Campus,
) -> None:
    connection = await aio_pika.connect(campus.stack.broker.admin_url)
    async with connection:
        channel = await connection.channel()
        for number, no in enumerate(NOES):
            await _one(campus, channel, no, 2 * number)
    for queue in DURABLE_QUEUES:
        found = campus.stack.broker.manage("GET", f"queues/{{vhost}}/{dead_letter_queue(queue)}")
        assert found.get("messages", 0) == 0, queue
    log = campus.stack.log("analytics_svc").read_text()
    assert log.count("database: ") <= 3 * len(NOES), "each once, and that it is over"
    assert PASSWORD not in log + campus.stack.log("ticket_svc").read_text()


async def _one(campus: Campus, channel: Any, no: No, before: int) -> None:
    case = f"{no.code} {no.say[0]}"
    # The reports' server alone says no: what happens to tickets waits.
    await campus.reports.say(no)
    answer = await campus.post(f"{case}: while reports are away", str(uuid.uuid4()))
    assert answer.status == 201, case
    ticket = (await answer.json())["id"]

    async def reports_say_why() -> bool:
        status, reasons = await campus.ready("analytics_svc")
        return status == 503 and no.code in reasons and PASSWORD not in reasons

    await _until(reports_say_why, f"{case}: analytics_svc does not say why it is not ready")
    # The tickets' server too: nothing is written, and late answers of the classifier wait.
    await campus.tickets.say(no)
    key = str(uuid.uuid4())
    refused = await campus.post(f"{case}: later", key)
    assert refused.status == 503, (case, await refused.text())
    assert int(refused.headers["Retry-After"]) > 0, case

    async def tickets_say_why() -> bool:
        status, reasons = await campus.ready("ticket_svc")
        return status == 503 and no.code in reasons and PASSWORD not in reasons

    await _until(tickets_say_why, f"{case}: ticket_svc does not say why it is not ready")
    result = {
        "category": "facility_management",
        "confidence": 1,
        "scores": {},
        "because": [],
        "model": "m",
    }
    await channel.default_exchange.publish(
        aio_pika.Message(
            json.dumps({"result": result}).encode(),
            correlation_id=asked(TICKET_CATEGORISED, str(ticket)),
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        ),
        TICKET_CATEGORISED,
    )

    async def is_held() -> bool:
        queue = await channel.declare_queue(TICKET_CATEGORISED, passive=True)
        return bool(queue.declaration_result.message_count == 0)

    await _until(is_held, f"{case}: nobody has taken the late category")
    await campus.tickets.run(*no.take_back)
    await campus.reports.run(*no.take_back)

    # The first write after it, on whatever connection is there, except one that is dead.
    async def written() -> bool:
        return (await campus.post(f"{case}: later", key)).status == 201

    await _until(written, f"{case}: nothing can be written when it is over")
    for service in ("ticket_svc", "analytics_svc"):

        async def is_ready(service: str = service) -> bool:
            return (await campus.ready(service))[0] == 200

        await _until(is_ready, f"{case}: {service} is not ready when it is over")

    async def counted() -> bool:
        query = "SELECT count(*) FROM analytics.ticket_state WHERE generation = 0"
        return bool(await campus.reports.fetch(query) == before + 2)

    await _until(counted, f"{case}: an event was lost")

    async def categorised() -> bool:
        query = f"SELECT category FROM tickets.ticket WHERE id = {ticket}"
        return bool(await campus.tickets.fetch(query) == "facility_management")

    await _until(categorised, f"{case}: a late category was lost")
