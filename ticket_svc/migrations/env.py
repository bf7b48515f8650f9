"""What Alembic runs: every migration in one transaction, one migrator at a time."""

from alembic import context
from sqlalchemy import text

from runtime.migrate import alone

with alone("tickets") as connection:
    connection.execute(text("SET LOCAL search_path = tickets, extensions"))
    context.configure(connection, version_table_schema="tickets")
    context.run_migrations()
