"""What Alembic runs: every migration in one transaction, while nobody writes or migrates."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from analytics_svc.migrate import URL_ATTRIBUTE
from analytics_svc.store import WRITER_LOCK

url = context.config.attributes[URL_ATTRIBUTE]
# SQLAlchemy reads addresses in its own way; psycopg reads them as PostgreSQL does.
engine = create_engine(
    "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool
)

with engine.begin() as connection:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER_LOCK})
    context.configure(connection, version_table_schema="analytics")
    context.run_migrations()
