"""The schema that people read is the one that the migrations make."""

from pathlib import Path

import analytics_svc
from analytics_svc.database import Connection
from runtime.postgres import Database

SCHEMA = Path(analytics_svc.__file__).with_name("schema.sql")


async def described(connection: Connection) -> list[tuple[object, ...]]:
    """Return every column, constraint and index, as PostgreSQL writes them."""
    rows = await connection.fetch(
        """
        SELECT attrelid::regclass::text AS owner, attname::text AS name,
               format_type(atttypid, atttypmod)
               || CASE WHEN attnotnull THEN ' not null' ELSE '' END
               || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') AS definition
          FROM pg_attribute
          JOIN pg_class ON pg_class.oid = attrelid
          LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relnamespace = 'analytics'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
        UNION ALL
        SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = 'analytics'::regnamespace
        UNION ALL
        SELECT tablename::text, indexname::text, indexdef
          FROM pg_indexes WHERE schemaname = 'analytics'
         ORDER BY 1, 2, 3
        """
    )
    return [tuple(row) for row in rows if row["owner"] != "alembic_version"]


async def test_migrated_schema_is_the_one_checked_in(pool: Database) -> None:
    async with pool.acquire() as connection:
        migrated = await described(connection)
        await connection.execute(
            """
            DROP TABLE projection, writer, ticket_state, opened_day, opened_quarter, opened_month,
                       resolution_bucket, rebuild_journal
            """
        )
        assert not await described(connection)
        await connection.execute(SCHEMA.read_text())
        assert await described(connection) == migrated
