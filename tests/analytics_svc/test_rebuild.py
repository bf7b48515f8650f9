"""A rebuild is all or nothing, equals what the events made, and loses none that come meanwhile."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from analytics_svc import queries, rebuild, store
from analytics_svc.database import Connection, session, writing
from analytics_svc.queries import Replaced
from analytics_svc.rebuild import ExportFailed
from analytics_svc.state import TicketState, state_of
from analytics_svc.store import Built
from contracts.rest import Ticket
from contracts.vocabulary import Category, Status
from runtime.postgres import Database
from tests.analytics_svc.conftest import (
    OPENED,
    ROME,
    Tickets,
    count_active,
    rebuild_all,
    running,
    take,
    ticket,
)

TABLES = ("ticket_state", "opened_day", "opened_quarter", "opened_month", "resolution_bucket")

IT = Category.TECHNICAL_IT


def many(n: int, version: int = 1) -> list[Ticket]:
    """Return tickets of every status and category, opened over weeks."""
    statuses, categories = list(Status), [None, *Category]
    return [
        ticket(
            id=i + 1,
            version=version,
            status=statuses[i % 3],
            category=categories[i % 4],
            opened_at=OPENED + i * timedelta(minutes=37),
        )
        for i in range(n)
    ]


async def rows(pool: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return the read model without its generation and without the rows that came to zero."""
    async with pool.acquire() as connection:
        generation = (await store.fetch_built(connection)).generation
        return {
            table: sorted(
                (
                    tuple(row)[1:]
                    for row in await connection.fetch(
                        f"SELECT * FROM {table} WHERE generation = $1", generation
                    )
                    if any(row.get(count, True) for count in ("opened", "closed"))
                ),
                key=repr,
            )
            for table in TABLES
        }


async def rows_read(connection: Connection) -> int:
    """Return how many rows of tables this connection has read, as far as it is not reported yet."""
    return int(
        await connection.fetchval(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))"
            "  FROM pg_stat_xact_user_tables"
        )
    )


async def until_it_waits(connection: Connection, other: Connection) -> None:
    """Wait until another connection waits for a lock that this one has."""
    async with asyncio.timeout(10):
        while connection.get_server_pid() not in await connection.fetchval(
            "SELECT pg_blocking_pids($1)", other.get_server_pid()
        ):
            await asyncio.sleep(0.01)


async def test_rebuild_equals_live_projection(built_pool: Database, tickets: Tickets) -> None:
    await take(built_pool, many(300))
    await take(built_pool, many(200, version=2)[::-1])
    live = await rows(built_pool)
    assert len(live["ticket_state"]) == 300
    tickets.hold(many(200, version=2) + many(300)[200:])

    await rebuild_all(built_pool, tickets)

    assert await rows(built_pool) == live


async def test_rebuild_takes_more_tickets_than_one_batch(
    pool: Database, tickets: Tickets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "BATCH_TICKETS", 7)
    tickets.hold(many(100))
    await rebuild_all(pool, tickets)
    assert len((await rows(pool))["ticket_state"]) == 100


async def test_what_was_planned_over_empty_tables_is_as_quick_over_full_ones(
    built_pool: Database,
) -> None:
    states = [state_of(ticket, ZoneInfo(ROME)) for ticket in many(3_000)]
    changes = [state._replace(version=2, category=IT) for state in states[:10]]
    async with session(built_pool) as connection:
        await store.analyze(connection)  # as PostgreSQL does by itself, whenever it likes
        # Planned here, and not again.
        await store.fill(connection, 0, states[:1])
        await store.apply(connection, 0, states[:1])
        await store.fill(connection, 0, states[1:])
        async with connection.transaction():
            before = await rows_read(connection)
            await store.apply(connection, 0, changes)
            read = await rows_read(connection) - before
    # A change of category is in three scopes of four rollups.
    assert 0 < read <= len(changes) * 20


async def test_a_rebuild_lets_postgresql_look_at_its_tables_and_at_no_others(
    pool: Database, tickets: Tickets
) -> None:
    tickets.hold(many(30))
    refusals: list[str] = []
    async with session(pool) as connection:
        connection.add_log_listener(lambda _, said: refusals.append(str(said)))
        await store.analyze(connection)
    assert refusals == []
    await rebuild_all(pool, tickets)
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        analyzed = await connection.fetch(
            "SELECT relname FROM pg_stat_user_tables WHERE analyze_count > 0"
        )
    assert {"ticket_state_0", *TABLES[1:]} <= {name for (name,) in analyzed}


async def test_readers_see_the_old_numbers_until_a_rebuild_ends(
    built_pool: Database, tickets: Tickets
) -> None:
    await take(built_pool, [ticket(1, status=Status.ACTIVE)])
    tickets.hold([ticket(id, status=Status.ACTIVE) for id in (1, 2, 3)])
    tickets.may_end.clear()
    work = asyncio.create_task(rebuild_all(built_pool, tickets))
    await tickets.is_streaming.wait()
    assert await count_active(built_pool) == {None: 1}
    tickets.may_end.set()
    await work
    assert await count_active(built_pool) == {None: 3}


async def test_a_report_that_is_asked_as_a_rebuild_ends_shows_the_new_numbers(
    built_pool: Database, tickets: Tickets, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(built_pool, [ticket(1, status=Status.ACTIVE)])
    tickets.hold([ticket(id, status=Status.ACTIVE) for id in (1, 2, 3)])
    fetch_built = store.fetch_built

    async def rebuild_meanwhile(connection: Connection) -> Built:
        built = await fetch_built(connection)
        monkeypatch.setattr(store, "fetch_built", fetch_built)
        await rebuild_all(built_pool, tickets)
        return built

    monkeypatch.setattr(store, "fetch_built", rebuild_meanwhile)
    assert await count_active(built_pool) == {None: 3}


@pytest.mark.parametrize("is_planned", [False, True])
async def test_a_report_never_sees_a_generation_while_it_is_emptied(
    built_pool: Database, is_planned: bool
) -> None:
    await take(built_pool, [ticket(1, status=Status.ACTIVE)])
    async with built_pool.acquire() as reader:
        if is_planned:
            await queries.count_active(reader, 0, ["none"])
        async with writing(built_pool) as connection:
            await store.show(connection, 1, ROME)
        async with writing(built_pool) as connection:
            await store.empty(connection, 0)
            report = asyncio.create_task(queries.count_active(reader, 0, ["none"]))
            await until_it_waits(connection, reader)
        with pytest.raises(Replaced):
            await report


async def test_nobody_else_is_taken_for_a_rebuild(
    built_pool: Database, ticket_database_url: str
) -> None:
    named = {"application_name": store.REBUILD_NAME}
    other = await asyncpg.connect(ticket_database_url, server_settings=named)
    async with writing(built_pool) as connection:
        assert await connection.fetchval(
            "SELECT usename FROM pg_stat_activity WHERE application_name = $1", store.REBUILD_NAME
        )
        assert not await store.is_rebuilding(connection)
    await other.close()


async def test_a_rebuild_that_begins_as_an_event_is_noted_waits_for_it(
    built_pool: Database,
) -> None:
    states = [state_of(ticket(1), ZoneInfo(ROME))]
    async with session(built_pool) as rebuilding:
        await store.begin_rebuild(rebuilding)

        async def empty() -> None:
            async with rebuilding.transaction():
                await store.empty(rebuilding, 1)

        async with writing(built_pool) as connection:
            await store.lock_for_writing(connection)
            await store.note_for_rebuild(connection, states)
            emptying = asyncio.create_task(empty())
            await until_it_waits(connection, rebuilding)
            assert await store.apply(connection, 0, states) == 1
        await emptying


async def test_events_during_a_rebuild_are_neither_lost_nor_doubled(
    built_pool: Database, tickets: Tickets
) -> None:
    await take(built_pool, [ticket(1), ticket(2)])
    exported = [ticket(1, 2, Status.ACTIVE, IT), ticket(2), ticket(3, 1, category=IT)]
    tickets.hold(exported)
    tickets.may_end.clear()
    work = asyncio.create_task(rebuild_all(built_pool, tickets))
    await tickets.is_streaming.wait()

    # One was in the export, one is newer than it, one came after it, one is older.
    meanwhile = [
        ticket(1, 2, Status.ACTIVE, IT),
        ticket(2, 2, Status.ACTIVE),
        ticket(4, 1, category=IT),
        ticket(1, 1),
    ]
    assert await take(built_pool, meanwhile) == 3
    assert not work.done(), "events go on while a rebuild runs"
    assert await count_active(built_pool) == {None: 1, IT: 1}, "and are seen at once"
    tickets.may_end.set()
    await work

    raced = await rows(built_pool)
    tickets.hold([ticket(1, 2, Status.ACTIVE, IT), ticket(2, 2, Status.ACTIVE), *exported[2:]])
    tickets.lines += [ticket(4, 1, category=IT).model_dump_json().encode() + b"\n"]
    await rebuild_all(built_pool, tickets)
    assert await rows(built_pool) == raced


async def test_an_event_in_the_last_instant_before_the_swap_is_not_lost(
    built_pool: Database, tickets: Tickets, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_noted = store.take_noted
    late = [ticket(2, status=Status.ACTIVE)]

    async def take_noted_then_hear(connection: Connection, limit: int) -> list[TicketState]:
        noted = await take_noted(connection, limit)
        if late:
            await take(built_pool, [late.pop()])
        return noted

    monkeypatch.setattr(store, "take_noted", take_noted_then_hear)
    tickets.hold([ticket(1, status=Status.ACTIVE)])
    await rebuild_all(built_pool, tickets)
    assert await count_active(built_pool) == {None: 2}


async def test_events_during_a_rebuild_for_another_time_zone_count_by_its_days(
    built_pool: Database, tickets: Tickets
) -> None:
    late_in_rome = ticket(1, opened_at=datetime(2026, 5, 11, 23, 30, tzinfo=UTC))
    tickets.hold([ticket(2)])
    tickets.may_end.clear()
    work = asyncio.create_task(rebuild_all(built_pool, tickets, "America/New_York"))
    await tickets.is_streaming.wait()
    await take(built_pool, [late_in_rome])
    tickets.may_end.set()
    await work
    days = {row[3] for row in (await rows(built_pool))["ticket_state"] if row[0] == 1}
    assert days == {date(2026, 5, 11)}


def cut(tickets: Tickets) -> None:
    tickets.cut = True


def half_a_line(tickets: Tickets) -> None:
    tickets.lines[-1] = tickets.lines[-1][:40]


def no_ticket(tickets: Tickets) -> None:
    tickets.lines[50] = b'{"error": "the database is away"}\n'


def out_of_order(tickets: Tickets) -> None:
    tickets.lines[50:52] = tickets.lines[51:49:-1]


def twice(tickets: Tickets) -> None:
    tickets.lines[51] = tickets.lines[50]


def refused(tickets: Tickets) -> None:
    tickets.status = 401


def away(tickets: Tickets) -> None:
    tickets.url = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "break_export", [cut, half_a_line, no_ticket, out_of_order, twice, refused, away]
)
async def test_an_export_that_is_not_complete_changes_nothing(
    built_pool: Database,
    tickets: Tickets,
    break_export: Callable[[Tickets], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebuild, "BATCH_TICKETS", 10)
    await take(built_pool, many(20))
    before = await rows(built_pool)
    tickets.hold(many(100, version=2))
    break_export(tickets)

    with pytest.raises(ExportFailed):
        await rebuild_all(built_pool, tickets, "Asia/Kathmandu")

    assert await rows(built_pool) == before
    async with built_pool.acquire() as connection:
        assert (await store.fetch_built(connection)).timezone == ROME


async def test_first_start_builds_once_and_a_new_time_zone_builds_again(
    pool: Database, tickets: Tickets
) -> None:
    tickets.hold(many(50))
    # Two replicas start at once.
    await asyncio.gather(
        rebuild.build_if_needed(pool, tickets.api, ROME),
        rebuild.build_if_needed(pool, tickets.api, ROME),
    )
    assert tickets.exports == 1
    in_rome = await rows(pool)
    await rebuild.build_if_needed(pool, tickets.api, "Asia/Kathmandu")
    assert tickets.exports == 2
    in_kathmandu = await rows(pool)
    assert in_kathmandu["opened_day"] != in_rome["opened_day"]
    assert in_kathmandu["opened_quarter"] == in_rome["opened_quarter"]


async def test_first_start_waits_for_the_ticket_service(
    pool: Database, tickets: Tickets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "RETRY_FIRST_SECONDS", 0.02)
    tickets.hold(many(5))
    tickets.status = 503
    building = asyncio.create_task(rebuild.build_if_needed(pool, tickets.api, ROME))
    async with running(building):
        while tickets.exports < 2:
            await asyncio.sleep(0.01)
        assert not building.done()
        tickets.status = 200
        await building
    assert len((await rows(pool))["ticket_state"]) == 5


async def test_a_rollup_can_never_count_below_zero(built_pool: Database) -> None:
    await take(built_pool, [ticket(1, status=Status.ACTIVE)])
    async with writing(built_pool) as connection:
        await connection.execute("UPDATE opened_day SET active = 0")
    with pytest.raises(asyncpg.CheckViolationError, match="opened_day_active_counts"):
        await take(built_pool, [ticket(1, 2, Status.CLOSED)])
