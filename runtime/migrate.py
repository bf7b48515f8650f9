"""Brings a service's database to its newest version; never part of a service's start.

Imported only where that is done: the tools are not installed where a service runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import InternalError, OperationalError


def migrate(service: str, database_url: str) -> None:
    """Apply a service's migrations that are missing; safe to run again, and twice at once."""
    config = Config(attributes={"url": database_url})
    config.set_main_option("script_location", f"{service}:migrations")
    config.set_main_option("path_separator", "os")
    try:
        command.upgrade(config, "head")
    except (OperationalError, InternalError) as error:
        # Nobody is there, or says no to everybody; the migrations are not at fault.
        reason = " ".join(str(error.orig).split())
        raise SystemExit(f"The database cannot be migrated just now: {reason}") from None


@contextmanager
def alone(schema: str) -> Iterator[Connection]:
    """Open the one transaction of all migrations of a schema, one migrator at a time."""
    url = context.config.attributes["url"]
    # SQLAlchemy reads addresses in its own way; psycopg reads them as PostgreSQL does.
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool
    )
    with engine.begin() as connection:
        # Locks the schema until the end (PostgreSQL, "Explicit Locking": SHARE UPDATE EXCLUSIVE),
        # when there is no table in it yet too. Nobody but its owner may; an advisory lock is
        # anybody's in the database.
        connection.execute(text(f"COMMENT ON SCHEMA {schema} IS NULL"))
        yield connection
