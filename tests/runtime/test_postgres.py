"""Which errors of PostgreSQL are the server's and which a statement's own; a real one says them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from runtime import postgres
from runtime.postgres import Database, DatabaseAway, LockTimeout, why_away
from tests.cable import Cable
from tests.conftest import Names

SERVERS_OWN = (
    *("08000", "08003", "08006", "08P01", "25006", "25P03", "25P04", "28000", "28P01"),
    *("3D000", "3F000", "40001", "40P01", "42P01", "42501", "42703", "42704", "42883"),
    *("53000", "53100", "53200", "53300", "53400", "55000", "55006"),
    *("57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030", "58P01"),
    *("F0000", "F0001", "XX000", "XX001", "XX002"),
)
STATEMENTS_OWN = (
    *("21000", "22001", "22003", "22012", "22021", "22P02", "23502", "23503", "23505", "23514"),
    *("25P02", "40002", "42601", "42804", "42P02", "54000", "54001", "0A000", "P0001"),
)


@asynccontextmanager
async def database_of(url: str, **settings: str) -> AsyncIterator[Database]:
    pool = asyncpg.create_pool(url, min_size=0, max_size=2, server_settings=settings)
    async with Database(pool, acquire_s=1.0) as database:
        yield database


async def ask(database: Database, statement: str) -> object:
    async with database.acquire() as connection, connection.transaction():
        return await connection.fetchval(statement)


async def session_of(database: Database) -> object:
    return await ask(database, "SELECT pg_backend_pid()")


async def raise_code(database: Database, code: str) -> None:
    async with database.acquire() as connection:
        await connection.execute(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{code}'; END $$")


async def test_what_concerns_the_server_is_away_and_its_session_is_thrown_away(
    ticket_database_url: str,
) -> None:
    async with database_of(ticket_database_url) as database:
        for code in SERVERS_OWN:
            session = await session_of(database)
            with pytest.raises(DatabaseAway, match=code):
                await raise_code(database, code)
            assert await session_of(database) != session, code


async def test_a_lock_that_is_not_had_in_time_is_nobody_s_fault_and_costs_no_session(
    ticket_database_url: str,
) -> None:
    async with database_of(ticket_database_url, lock_timeout="10") as database:
        session = await session_of(database)
        async with database.acquire() as holder, holder.transaction():
            await holder.execute("LOCK TABLE tickets.ticket")
            with pytest.raises(LockTimeout, match="55P03"):
                await ask(database, "SELECT FROM tickets.ticket")
            assert await session_of(database) != await holder.fetchval("SELECT pg_backend_pid()")
        assert database.refusal is None
        sessions = {await session_of(database) for _ in range(2)}
    assert session in sessions


async def test_a_statement_s_own_fault_stays_one_and_costs_no_session(
    ticket_database_url: str,
) -> None:
    async with database_of(ticket_database_url) as database:
        session = await session_of(database)
        for code in STATEMENTS_OWN:
            with pytest.raises(asyncpg.PostgresError) as caught:
                await raise_code(database, code)
            assert caught.value.sqlstate == code
            assert database.refusal is None
        with pytest.raises(asyncpg.DataError):  # refused before it is sent
            async with database.acquire() as connection:
                await connection.fetchval("SELECT $1::integer", "no number")
        assert await session_of(database) == session


@pytest.mark.parametrize(
    ("replaced", "by", "reason"),
    [
        ("127.0.0.1:", "127.0.0.1:1?x=", "cannot be reached"),
        ("127.0.0.1:", "no-such-host.invalid:", "cannot be reached"),
        ("ticket_svc:", "nobody:", "28P01.*nobody"),
        ("/test_", "/gone_", "3D000|42501"),
        ("", "?sslmode=require", "cannot be reached.*SSL"),
    ],
)
async def test_whatever_prevents_a_session_is_away_and_said_without_the_secret(
    names: Names, ticket_database_url: str, replaced: str, by: str, reason: str
) -> None:
    url = ticket_database_url.replace(replaced, by, 1) if replaced else ticket_database_url + by
    async with database_of(url) as database:
        with pytest.raises(DatabaseAway, match=reason) as away:
            await session_of(database)
        assert database.refusal == str(away.value)
        assert names.password("TICKET_DATABASE_URL") not in str(away.value)


async def test_a_session_that_is_full_or_hangs_is_away(ticket_database_url: str) -> None:
    async with database_of(ticket_database_url) as database:
        async with database.acquire(), database.acquire():
            with pytest.raises(DatabaseAway, match="no answer in time"):
                await session_of(database)
        assert await session_of(database)
        assert database.refusal is None


async def test_silent_connections_keep_nobody_from_stopping(
    ticket_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "CLOSE_SECONDS", 0.3)
    async with Cable(ticket_database_url) as cable:
        pool = asyncpg.create_pool(cable.url, min_size=0, max_size=2)
        database = await Database(pool, acquire_s=1.0).open()
        async with database.acquire():
            assert await session_of(database)
        cable.silence()
        asking = asyncio.create_task(session_of(database))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            # One connection is asked, the other one rests.
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert database.refusal is None
            await database.close()


def test_refused_tls_and_lost_connections_are_away() -> None:
    for error in (ssl.SSLCertVerificationError(1, "bad certificate"), ConnectionResetError()):
        assert why_away(error)
    assert why_away(asyncpg.InterfaceError("connection is closed"))
    assert why_away(ZeroDivisionError()) is None
    assert why_away(asyncio.CancelledError()) is None


async def test_no_session_of_a_read_only_time_refuses_a_write_after_it(
    names: Names, ticket_database_url: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(ticket_database_url)
    address = parts._replace(
        netloc=f"postgres:{names['POSTGRES_PASSWORD']}@{parts.hostname}:{parts.port}"
    )
    operator = await asyncpg.connect(urlunsplit(address))
    write = "CREATE TABLE tickets.new ()"
    async with database_of(ticket_database_url) as tickets:
        await operator.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        for _ in range(3):
            with pytest.raises(DatabaseAway, match="read-only"):
                await ask(tickets, write)
            await session_of(tickets)  # reading works, by a session that is read-only
        assert caplog.text.count("it is read-only") == 1, "the log hears of it once"
        assert await tickets.why_not(nothing) == "it is read-only (25006)"
        await operator.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        await ask(tickets, write)
        tickets.wrote()
        assert await tickets.why_not(nothing) is None
    await operator.close()


async def nothing(_: object) -> None:
    pass
