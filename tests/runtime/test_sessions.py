"""Behind a real PgBouncer: sessions that are kept serve as a server does; others are refused."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from analytics_svc import database, store
from contracts.addresses import parse
from deploy.local.names import HOST, Names, free_port
from deploy.local.servers import wait_until
from runtime.sessions import are_shared
from tests.conftest import ROOT, Broker
from tests.postgres import own, private_folder, unprivileged
from ticket_svc.database import create_pool

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
behind_pgbouncer = pytest.mark.skipif(not PGBOUNCER, reason="pgbouncer is not installed")
# What an operator writes who read in the log which parameters were refused.
IGNORED = "ignore_startup_parameters = search_path, jit, plan_cache_mode, extra_float_digits"


@contextmanager
def pooling(names: Names, mode: str) -> Iterator[int]:
    """Run PgBouncer in front of the server; yield its port."""
    port = free_port()
    settings_of = ("TICKET_DATABASE_URL", "ANALYTICS_DATABASE_URL")
    logins = [parse(name, names[name]) for name in settings_of]
    with private_folder() as folder:
        users = folder / "users"
        users.write_text("".join(f'"{login.user}" "{login.password}"\n' for login in logins))
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={logins[0].host} port={logins[0].port}\n[pgbouncer]\n"
            f"listen_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\npool_mode = {mode}\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\n"
            + (f"{IGNORED}\n" if mode != "session" else "")
        )
        own(users)
        own(settings)
        log = folder / "log"
        with log.open("wb") as output:
            command = [*unprivileged(), str(PGBOUNCER), str(settings)]
            pooler = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        try:
            wait_until("PgBouncer", lambda: _listens(port), log)
            yield port
        finally:
            pooler.kill()
            pooler.wait()


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection((HOST, port), timeout=1).close()
        return True
    return False


def through(port: int, name: str, url: str) -> str:
    return replace(parse(name, url), host=HOST, port=port).url


async def test_a_server_without_a_pooler_keeps_sessions(ticket_database_url: str) -> None:
    assert not await are_shared(ticket_database_url)


@behind_pgbouncer
async def test_a_pooler_of_sessions_serves_as_the_server_does(
    names: Names, ticket_database_url: str, analytics_database_url: str
) -> None:
    with pooling(names, "session") as port:
        tickets = through(port, "TICKET_DATABASE_URL", ticket_database_url)
        analytics = through(port, "ANALYTICS_DATABASE_URL", analytics_database_url)
        assert not await are_shared(tickets)
        async with create_pool(tickets) as pool, pool.acquire() as first, pool.acquire() as second:
            for connection in (first, second, first, second):
                assert await connection.fetchval("SELECT count(*) FROM ticket") == 0
                assert await connection.fetchval("SHOW jit") == "off"
                assert await connection.fetchval("SHOW TimeZone") == "UTC"
        async with database.connect(analytics) as reports:
            async with database.session(reports) as connection:
                await store.begin_rebuild(connection)
                assert await connection.fetchval("SHOW enable_seqscan") == "off"
            # The lock has gone with its connection.
            async with asyncio.timeout(5), database.session(reports) as connection:
                await store.begin_rebuild(connection)


@behind_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_shares_sessions_is_refused_at_the_start(
    names: Names,
    broker: Broker,
    ticket_database_url: str,
    analytics_database_url: str,
    mode: str,
) -> None:
    with pooling(names, mode) as port:
        tickets = through(port, "TICKET_DATABASE_URL", ticket_database_url)
        analytics = through(port, "ANALYTICS_DATABASE_URL", analytics_database_url)
        starts = [
            start("ticket_svc", names, broker, TICKET_DATABASE_URL=tickets),
            start("analytics_svc", names, broker, ANALYTICS_DATABASE_URL=analytics),
        ]
        if mode == "transaction":
            command = ("analytics_svc", "rebuild")
            starts.append(start(*command, names, broker, ANALYTICS_DATABASE_URL=analytics))
        for setting, (status, said) in zip(
            ("TICKET_DATABASE_URL", "ANALYTICS_DATABASE_URL", "ANALYTICS_DATABASE_URL"),
            await asyncio.gather(*starts),
            strict=False,
        ):
            assert status == 1, said
            assert said.splitlines()[-1].startswith(f"{setting} leads to a pooler"), said
            assert "Traceback" not in said


async def start(*arguments: object, **settings: str) -> tuple[int, str]:
    """Start a service, or a command of it; return how it ended, and what it said."""
    *words, names, broker = arguments
    assert isinstance(names, Names)
    assert isinstance(broker, Broker)
    service = str(words[0])
    ports = {part: free_port() for part in ("web", "ticket_api", "analytics", "classifier")}
    values = names.values | {
        "TICKET_AMQP_URL": broker.url("ticket_svc"),
        "ANALYTICS_AMQP_URL": broker.url("analytics_svc"),
        "TICKET_API_URL": f"http://{HOST}:{ports['ticket_api']}",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *map(str, words)),
        cwd=ROOT,
        env=replace(names, values=values, ports=ports).of_service(service)
        | {"PATH": os.environ["PATH"]}
        | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode is not None
    return process.returncode, said.decode()
