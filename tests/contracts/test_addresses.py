"""One spelling of addresses for all services and commands, whatever library is behind them."""

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psycopg
import pytest
from aio_pika.abc import AbstractChannel

from analytics_svc.database import connect
from bus.connection import keep_session
from bus.pika_server import PikaServer
from contracts.addresses import check_address, parse
from deploy.archive import write
from deploy.local.names import Names, choose
from runtime.migrate import migrate
from tests.certificates import make_authority, make_certificate
from tests.conftest import Broker
from tests.postgres import INSTALLED, initialise, own, private_folder, running
from ticket_svc.database import create_pool

# Everything that means something in an address, what a library decodes twice, and what is no ASCII.
NASTY = "p@ss/w:o%rd?a&b=c#[x]+y;%2F%40 'ü\"☃,\\$"
USER = "us/er@:ü %41"


def encoded(text: str) -> str:
    return quote(text, safe="")


# --- What is read -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "host", "port", "path"),
    [
        ("WEB_AMQP_URL", "amqp://u:p@broker", "broker", 5672, "/"),
        ("WEB_AMQP_URL", "amqps://u:p@broker/", "broker", 5671, "/"),
        ("WEB_AMQP_URL", "amqp://u:p@broker/%2F", "broker", 5672, "/"),
        ("WEB_AMQP_URL", "amqp://u:p@broker//", "broker", 5672, "/"),
        ("WEB_AMQP_URL", "amqp://u:p@[::1]:1/campus%2fx", "::1", 1, "campus/x"),
        ("X_DATABASE_URL", "postgres://u@[fe80::1]/d%20b", "fe80::1", 5432, "d b"),
        ("X_DATABASE_URL", "postgresql://u:p@%2Frun%2FPg/x", "/run/Pg", 5432, "x"),
        ("X_DATABASE_URL", "postgresql:///x?host=/run/Pg&port=7", "/run/Pg", 7, "x"),
        ("WEB_URL", "http://pages", "pages", 80, ""),
        ("TICKET_API_URL", "https://[::1]/api", "::1", 443, "api"),
    ],
)
def test_what_an_address_leaves_out_is_the_same_for_all(
    name: str, value: str, host: str, port: int, path: str
) -> None:
    address = parse(name, value)
    assert (address.host, address.port, address.name) == (host, port, path)
    assert parse(name, check_address(name, value)) == address


def test_a_password_is_what_was_encoded_and_is_not_shown() -> None:
    address = parse("X_AMQP_URL", f"amqp://{encoded(USER)}:{encoded(NASTY)}@h/{encoded('a/b')}")
    assert (address.user, address.password, address.name) == (USER, NASTY, "a/b")
    assert NASTY not in repr(address)
    environment = {
        "TICKET_DATABASE_URL": f"postgresql://ticket_svc:{encoded(NASTY)}@localhost:1/campus",
        "RABBITMQ_OPERATOR_PASSWORD": NASTY,
    }
    names = choose(Path("/nowhere"), free_ports=True, environment=environment)
    assert names.password("TICKET_DATABASE_URL") == NASTY
    assert names.password("OPERATOR_AMQP_URL") == NASTY


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("X_AMQP_URL", "amqp://u:s3cr3t@first,second/x", "several hosts"),
        ("X_AMQP_URL", "amqp://u:s3cr3t@first:1,second:2/x", "several hosts"),
        ("X_DATABASE_URL", "postgresql://u:s3cr3t@first:1,second:2/x", "several hosts"),
        ("X_DATABASE_URL", "postgresql://u:s3cr3t@/x?host=first,second", "several hosts"),
        ("X_DATABASE_URL", "postgresql://u:s3cr3t@h/x?connect_timeout=3", "known: sslmode"),
        ("X_DATABASE_URL", "postgresql://u:s3cr3t@h/x?sslmode=s3cr3t", "none of disable, allow"),
        ("X_DATABASE_URL", "postgresql://u@h/x?sslrootcert=/s3cr3t", "is no file"),
        ("X_AMQP_URL", "amqps://u:s3cr3t@h/x?cafile=/s3cr3t", "is no file"),
        ("X_AMQP_URL", f"amqps://u:s3cr3t@h/x?cafile={__file__}", "no certificate"),
        ("X_AMQP_URL", f"amqp://u:s3cr3t@h/x?cafile={__file__}", "with amqps"),
        ("X_AMQP_URL", "amqp://u:s3cr3t%@h/x", "percent-encode"),
        ("X_AMQP_URL", "amqp://u:s3cr3t%ff@h/x", "percent-encode"),
        ("X_AMQP_URL", "amqp://u:s3cr3t@h/x@y", "percent-encode"),
        ("X_AMQP_URL", "amqp://u@h/x", "percent-encode"),
        ("X_AMQP_URL", "amqp://u:s3cr3t@[localhost]/x", "percent-encode"),
        ("X_DATABASE_URL", "postgresql:///x", "percent-encode"),
    ],
)
def test_what_not_every_library_reads_alike_is_refused_in_a_sentence(
    name: str, value: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        check_address(name, value)
    assert str(refusal.value).startswith(name)
    assert "s3cr3t" not in str(refusal.value)


# --- Who reads it: RabbitMQ ---------------------------------------------------------------------
@pytest.fixture
def login(names: Names, worker_id: str) -> Iterator[str]:
    """Return the address of a user and a virtual host whose names need encoding."""
    user, vhost = f"{USER} {worker_id}", f"campus/x ü@? {worker_id}"
    broker = Broker(names, encoded(vhost))
    body = {"password": NASTY, "tags": ""}
    broker.manage("PUT", "vhosts/{vhost}")
    broker.manage("PUT", f"users/{encoded(user)}", body)
    rights = {"configure": "", "write": ".*", "read": ".*"}
    broker.manage("PUT", f"permissions/{{vhost}}/{encoded(user)}", rights)
    place = parse("WEB_AMQP_URL", names["WEB_AMQP_URL"])
    yield (f"amqp://{encoded(user)}:{encoded(NASTY)}@{place.host}:{place.port}/{encoded(vhost)}")
    broker.manage("DELETE", "vhosts/{vhost}")
    broker.manage("DELETE", f"users/{encoded(user)}")


@asynccontextmanager
async def both_clients(url: str) -> AsyncIterator[dict[str, Callable[[], bool]]]:
    """Run aio-pika and pika as the services do; each tells whether it has come to a session."""
    reached = asyncio.Event()

    async def session(_: AbstractChannel) -> None:
        reached.set()
        await asyncio.Event().wait()

    url = check_address("X_AMQP_URL", url)
    task = asyncio.create_task(keep_session(url, "test", session))
    server = PikaServer(url, "test", [])
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield {"bus.connection": reached.is_set, "bus.pika_server": lambda: server.is_connected}
    finally:
        server.stop()
        await asyncio.to_thread(thread.join)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def expect_both_connect(url: str) -> None:
    async with both_clients(url) as clients:
        for has_session in clients.values():
            await until(has_session)


@asynccontextmanager
async def relay(url: str, host: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen elsewhere, or over TLS, for the server at an address; yield the port."""
    server = parse("X_AMQP_URL", url)
    tasks: set[asyncio.Task[Any]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        there, back = await asyncio.open_connection(server.host, server.port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    listener = await asyncio.start_server(accept, host, 0, ssl=tls)
    async with listener:
        yield listener.sockets[0].getsockname()[1]
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_both_amqp_clients_read_the_same_login_and_virtual_host(login: str) -> None:
    await expect_both_connect(login)


async def test_both_amqp_clients_reach_a_broker_by_ipv6(login: str) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    async with relay(login, "::1") as port:
        url = replace(parse("X_AMQP_URL", login), host="::1", port=port).url
        assert "@[::1]:" in url
        await expect_both_connect(url)


# Both libraries leave a connection whose TLS was refused to the garbage collector, and warn.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_both_amqp_clients_trust_the_authority_that_the_address_names_and_no_other(
    login: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trusted, other = make_authority(tmp_path, "a&b=c"), make_authority(tmp_path, "other")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*make_certificate(trusted, "server"))
    async with relay(login, "127.0.0.1", tls) as port:
        plain = replace(parse("X_AMQP_URL", login), scheme="amqps", port=port)
        url = replace(plain, options={"cafile": str(trusted)}).url
        await expect_both_connect(url)
        for refused in (replace(plain, options={"cafile": str(other)}).url, plain.url):
            caplog.clear()

            def is_told_by(logger: str) -> bool:
                return any(
                    record.name == logger and "certificate verify failed" in record.getMessage()
                    for record in caplog.records
                )

            async with both_clients(refused) as clients:
                for logger, has_session in clients.items():
                    await until(partial(is_told_by, logger))
                    assert not has_session()
    caplog.clear()  # the records hold those connections
    gc.collect()


# --- Who reads it: PostgreSQL -------------------------------------------------------------------
@contextmanager
def superuser(names: Names, database: str = "postgres") -> Iterator["psycopg.Connection[Any]"]:
    place = parse("TICKET_DATABASE_URL", names["TICKET_DATABASE_URL"])
    admin = replace(place, user="postgres", password=names["POSTGRES_PASSWORD"], name=database)
    with psycopg.connect(admin.url, autocommit=True) as connection:
        yield connection


async def read_with_every_client(tickets: str, analytics: str, file: Path) -> None:
    """Connect as the services, the migrations and the backup do."""
    tickets = check_address("TICKET_DATABASE_URL", tickets)
    analytics = check_address("ANALYTICS_DATABASE_URL", analytics)
    migrate("ticket_svc", tickets)
    migrate("analytics_svc", analytics)
    async with create_pool(tickets) as pool, pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ticket") == 0
    async with connect(analytics) as pool, pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM projection") == 0
    assert write(tickets, file).counts.tickets == 0


async def test_every_postgresql_client_reads_the_same_login_and_database(
    names: Names, worker_id: str, tmp_path: Path
) -> None:
    user, database = f"{USER} {worker_id}", f"d b/@ü%41? {worker_id}"
    name, role = (psycopg.sql.Identifier(text) for text in (database, user))
    with superuser(names) as admin:
        admin.execute(psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE campus").format(name))
        make = "CREATE ROLE {} LOGIN PASSWORD {} IN ROLE ticket_svc, analytics_svc"
        admin.execute(psycopg.sql.SQL(make).format(role, psycopg.sql.Literal(NASTY)))
        try:
            search = "ALTER ROLE {} SET search_path = analytics"
            admin.execute(psycopg.sql.SQL(search).format(role))
            place = parse("TICKET_DATABASE_URL", names["TICKET_DATABASE_URL"])
            url = f"postgresql://{encoded(user)}:{encoded(NASTY)}@{place.host}:{place.port}"
            url += f"/{encoded(database)}"
            await read_with_every_client(url, url, tmp_path / "campus.dump")
        finally:
            drop = "DROP DATABASE {} WITH (FORCE)"
            admin.execute(psycopg.sql.SQL(drop).format(name))
            admin.execute(psycopg.sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.skipif(not INSTALLED, reason="Debian's PostgreSQL is not installed")
async def test_every_postgresql_client_trusts_the_authority_that_the_address_names(
    tmp_path: Path,
) -> None:
    program = INSTALLED[-1]
    with private_folder() as folder:
        trusted, other = make_authority(folder, "a&b=c"), make_authority(folder, "other")
        certificate, key = make_certificate(trusted, "server")
        own(key)
        settings = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        with running(program, **settings) as port:
            initialise(program, port, NASTY, NASTY)
            option = f"?sslmode=verify-full&sslrootcert={encoded(str(trusted))}"
            at = f"{encoded(NASTY)}@127.0.0.1:{port}/campus"
            tickets = f"postgresql://ticket_svc:{at}"
            await read_with_every_client(
                tickets + option, f"postgresql://analytics_svc:{at}{option}", tmp_path / "x.dump"
            )
            url = check_address(
                "X_DATABASE_URL", f"{tickets}?sslmode=verify-ca&sslrootcert={encoded(str(other))}"
            )
            with pytest.raises(ssl.SSLError):
                await asyncpg.connect(url)
            with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
                psycopg.connect(url)
