"""What Alembic runs: every migration in one transaction, while nobody writes or migrates."""

from alembic import context

from analytics_svc.store import WRITER_LOCK
from runtime.migrate import alone

with alone(WRITER_LOCK) as connection:
    context.configure(connection, version_table_schema="analytics")
    context.run_migrations()
