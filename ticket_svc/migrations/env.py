"""What Alembic runs: every migration in one transaction, one migrator at a time."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, text

# Any number that nothing else here locks on.
_LOCK = 8_081_001

url = context.config.attributes["url"]
# SQLAlchemy reads addresses in its own way; psycopg reads them as PostgreSQL does.
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
with engine.begin() as connection:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("SET LOCAL search_path = tickets, extensions"))
    context.configure(connection=connection, version_table_schema="tickets")
    context.run_migrations()
engine.dispose()
