"""Each database role has its own schema and nothing else, tried against PostgreSQL itself."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import chain
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.names import Names
from deploy.local.servers import POSTGRES_BIN_PATH
from tests.conftest import ROOT, Stack, with_path
from tests.postgres import initialise, running
from tests.security.conftest import Rest

URLS = {"ticket_svc": "TICKET_DATABASE_URL", "analytics_svc": "ANALYTICS_DATABASE_URL"}
DENIED = asyncpg.InsufficientPrivilegeError


class Role(NamedTuple):
    """One role's connection, and what belongs to the other."""

    name: str
    sql: asyncpg.Connection
    own: str
    other: str
    other_s_table: str
    other_s_name: str


@pytest.fixture(params=["ticket_svc", "analytics_svc"])
async def role(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[Role]:
    is_tickets = request.param == "ticket_svc"
    sql = await asyncpg.connect(stack[URLS[request.param]])
    schemas = ("tickets", "analytics") if is_tickets else ("analytics", "tickets")
    table = "ticket_state" if is_tickets else "ticket"
    other = "analytics_svc" if is_tickets else "ticket_svc"
    yield Role(request.param, sql, *schemas, table, other)
    await sql.close()


REFUSED = {
    "read the other's table": "SELECT * FROM {other}.{table}",
    "write the other's table": "DELETE FROM {other}.{table}",
    "empty the other's table": "TRUNCATE {other}.{table}",
    "lock the other's table": "DO $$BEGIN LOCK TABLE {other}.{table} IN ACCESS SHARE MODE; END$$",
    "change the other's table": "ALTER TABLE {other}.{table} ADD COLUMN mine int",
    "point at the other's table": "CREATE VIEW {own}.mine AS SELECT * FROM {other}.{table}",
    "make a table in the other's schema": "CREATE TABLE {other}.mine ()",
    "make a function in the other's schema": (
        "CREATE FUNCTION {other}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ),
    "drop the other's schema": "DROP SCHEMA {other} CASCADE",
    "make a table in public": "CREATE TABLE public.mine ()",
    "make a table among the extensions": "CREATE TABLE extensions.mine ()",
    "make a schema": "CREATE SCHEMA mine",
    "make a database": "CREATE DATABASE mine",
    "drop the database": "DROP DATABASE postgres",
    "make a role": "CREATE ROLE mine",
    "become superuser": "ALTER ROLE {name} SUPERUSER",
    "let the role make roles": "ALTER ROLE {name} CREATEROLE",
    "become the other": "SET ROLE {other_name}",
    "become postgres": "SET ROLE postgres",
    "become postgres for the session": "SET SESSION AUTHORIZATION postgres",
    "change the other's password": "ALTER ROLE {other_name} PASSWORD 'mine'",
    "take a right of files": "GRANT pg_read_server_files TO {name}",
    "make an extension": "CREATE EXTENSION dblink",
    "change a setting of the server": "ALTER SYSTEM SET work_mem = '1GB'",
    "log what others say": "SET log_statement = 'all'",
    "change a setting of the other": "ALTER ROLE {other_name} SET search_path = mine",
    "read password hashes": "SELECT * FROM pg_authid",
    "read password hashes by another name": "SELECT * FROM pg_shadow",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "read the server's configuration file": "SELECT pg_read_file('pg_hba.conf')",
    "list a folder": "SELECT pg_ls_dir('/')",
    "import a file": "SELECT lo_import('/etc/passwd')",
    "copy from a file": "COPY {own}.alembic_version FROM '/etc/passwd'",
    "copy from a program": "COPY {own}.alembic_version FROM PROGRAM 'id'",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "copy to a file": "COPY (SELECT 1) TO '/tmp/mine'",
    "hold an advisory lock": "SELECT pg_advisory_lock(8081002)",
    "hold all advisory locks": "SELECT pg_advisory_lock_shared(n) FROM generate_series(1, 9999) n",
    "hold one for a transaction": "SELECT pg_advisory_xact_lock(8081, 2)",
    "hold one if it is free": "SELECT pg_try_advisory_lock(8081002)",
    "share one if it is free": "SELECT pg_try_advisory_xact_lock_shared(8081002)",
    "make a large object": "SELECT lo_create(0)",
    "make one in the old way": "SELECT lo_creat(-1)",
    "make and fill one": "SELECT lo_from_bytea(0, 'mine')",
    "open one": "SELECT lo_open(1, 131072)",
    "fill one": "SELECT lo_put(1, 0, 'mine')",
    "fill an open one": "SELECT lowrite(0, 'mine')",
    "read the other's large objects": "SELECT data FROM pg_largeobject",
    "read samples of the other's columns": "SELECT * FROM pg_statistic",
    "let in more of its own": "ALTER ROLE {name} CONNECTION LIMIT -1",
    "write more files than it may": "SET temp_file_limit = -1",
    "reload the server": "SELECT pg_reload_conf()",
    "watch the write-ahead log": "SELECT pg_switch_wal()",
    "make a publication of all": "CREATE PUBLICATION mine FOR ALL TABLES",
    "make a replication slot": "SELECT pg_create_physical_replication_slot('mine')",
    "make an event trigger": (
        "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION suppress_redundant()"
    ),
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
async def test_a_role_cannot(role: Role, statement: str) -> None:
    text = statement.format(
        name=role.name,
        own=role.own,
        other=role.other,
        other_name=role.other_s_name,
        table=role.other_s_table,
    )
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await role.sql.execute(text)
    assert isinstance(refusal.value, DENIED), f"{refusal.value!r} comes before the right is asked"


async def test_a_role_works_in_its_own_schema(role: Role) -> None:
    schema = await role.sql.fetchval(
        "SELECT schema_owner FROM information_schema.schemata WHERE schema_name = $1", role.own
    )
    assert schema == role.name
    await role.sql.execute(f"CREATE TABLE {role.own}.mine ()")
    await role.sql.execute(f"DROP TABLE {role.own}.mine")


async def test_a_role_has_no_attribute_and_no_membership(role: Role) -> None:
    row = await role.sql.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", role.name)
    powers = {name for name, value in row.items() if value is True and name != "rolinherit"}
    assert powers == {"rolcanlogin"}
    assert not await role.sql.fetchval(
        "SELECT count(*) FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member"
        " WHERE r.rolname = $1",
        role.name,
    )


async def test_a_role_reads_nothing_of_what_the_other_asks(role: Role, stack: Stack) -> None:
    other, watcher = [await asyncpg.connect(stack[URLS[role.other_s_name]]) for _ in range(2)]
    asked = asyncio.create_task(other.execute("SELECT 'whispered', pg_sleep(60)"))
    pid = other.get_server_pid()
    async with asyncio.timeout(10):
        while not await watcher.fetchval(
            "SELECT query LIKE '%whispered%' AND state = 'active'"
            " FROM pg_stat_activity WHERE pid = $1",
            pid,
        ):
            await asyncio.sleep(0.01)
    rows = await role.sql.fetch("SELECT usename, query, pid FROM pg_stat_activity")
    seen = [row for row in rows if row["pid"] == pid]
    assert [row["usename"] for row in seen] == [role.other_s_name]
    assert "whispered" not in str([row["query"] for row in rows])
    for end in ("pg_terminate_backend", "pg_cancel_backend"):
        with pytest.raises(DENIED):
            await role.sql.execute(f"SELECT {end}({pid})")
    await watcher.execute(f"SELECT pg_cancel_backend({pid})")
    with pytest.raises(asyncpg.QueryCanceledError):
        await asked
    await other.close()
    await watcher.close()


async def test_a_role_sees_no_samples_of_what_the_other_has(role: Role) -> None:
    samples = "SELECT count(*) FROM pg_stats WHERE schemaname = $1"
    assert await role.sql.fetchval(samples, role.other) == 0


HOLDS = (
    *(f"SELECT pg_advisory_lock({key})" for key in (8_081_001, 8_081_002)),
    *(f"SELECT pg_advisory_lock({int.from_bytes(name)})" for name in (b"campus", b"rebuild")),
    *(f"LOCK TABLE {table}" for table in ("tickets.relay", "analytics.writer")),
    *(f"SELECT FROM {table} FOR UPDATE" for table in ("tickets.relay", "analytics.writer")),
    "COMMENT ON SCHEMA tickets IS 'mine'",
    "COMMENT ON SCHEMA analytics IS 'mine'",
)


async def test_whatever_a_role_holds_the_other_s_service_goes_on(
    role: Role, stack: Stack, rest: Rest
) -> None:
    opened = sql = None
    holding = role.sql.transaction()
    await holding.start()
    for statement in HOLDS:
        if f"{role.own}." not in statement and f"SCHEMA {role.own}" not in statement:
            with suppress(DENIED):
                async with role.sql.transaction():
                    await role.sql.execute(statement)
    try:
        body = {"description": "Not held up", "category": "technical_it"}
        opened = json.loads((await rest.as_role("user", "POST", "/v1/tickets", body)).text)
        sql = await asyncpg.connect(stack["ANALYTICS_DATABASE_URL"])
        async with asyncio.timeout(10):
            while not await sql.fetchval("SELECT id FROM ticket_state WHERE id = $1", opened["id"]):
                await asyncio.sleep(0.02)
        for name, service in ((URLS[service], service) for service in URLS):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", service, "migrate"),
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], name: stack[name]},
                stderr=asyncio.subprocess.DEVNULL,
            )
            async with asyncio.timeout(30):
                assert await process.wait() == 0
    finally:
        await holding.rollback()
        if sql:
            await sql.close()


async def test_a_role_that_takes_all_its_connections_leaves_the_other_its_own() -> None:
    program, passwords = POSTGRES_BIN_PATH / "postgres", ("for tickets", "for reports")
    with running(program, max_connections="40") as port:
        for _ in range(2):  # it is safe to run again
            await asyncio.to_thread(initialise, program, port, *passwords)

        async def enter(user: str) -> asyncpg.Connection:
            password = passwords[user != "ticket_svc"]
            return await asyncpg.connect(
                host="127.0.0.1", port=port, user=user, password=password, database="campus"
            )

        taken: dict[str, list[asyncpg.Connection]] = {"analytics_svc": [], "ticket_svc": []}
        for user, connections in taken.items():
            with suppress(asyncpg.TooManyConnectionsError):
                while len(connections) < 40:
                    connections.append(await enter(user))
        assert {user: len(of) for user, of in taken.items()} == {
            "analytics_svc": 12,
            "ticket_svc": 24,
        }
        for connection in chain(*taken.values()):
            connection.terminate()


DATABASES = {
    # The rights that a new database has by itself (CONNECT, TEMPORARY) are taken away where nobody
    # needs them; `campus` is only asked about, since a connection would keep it from being copied.
    "campus": {"CONNECT"},
    "postgres": set(),
    "template1": set(),
}


@pytest.mark.parametrize("name", DATABASES)
async def test_a_role_enters_its_own_database_only(role: Role, name: str) -> None:
    rights = {
        right
        for right in ("CONNECT", "CREATE", "TEMPORARY")
        if await role.sql.fetchval(
            "SELECT has_database_privilege($1, $2, $3)", role.name, name, right
        )
    }
    assert rights == DATABASES[name]


@pytest.mark.parametrize("password", ["", "wrong", "ticket_svc", "postgres"])
@pytest.mark.parametrize("user", ["ticket_svc", "analytics_svc", "postgres"])
async def test_nobody_enters_without_the_password(names: Names, user: str, password: str) -> None:
    parts = urlsplit(with_path(names["TICKET_DATABASE_URL"], "postgres"))
    with pytest.raises(
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
    ):
        await asyncpg.connect(
            host=parts.hostname,
            port=parts.port,
            user=user,
            password=password,
            database="postgres",
        )
