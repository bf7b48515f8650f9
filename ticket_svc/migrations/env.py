"""What Alembic runs: every migration in one transaction, one migrator at a time."""

from alembic import context
from sqlalchemy import create_engine, text

# Any number that nothing else here locks on.
_LOCK = 8_081_001

engine = create_engine(context.config.attributes["url"])
with engine.begin() as connection:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("SET LOCAL search_path = tickets, extensions"))
    context.configure(connection=connection, version_table_schema="tickets")
    context.run_migrations()
engine.dispose()
