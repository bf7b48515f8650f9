"""What Alembic runs: every migration in one transaction, one migrator at a time.

One that changes what the projection writes begins with `SELECT FROM analytics.writer FOR UPDATE`.
"""

from alembic import context

from runtime.migrate import alone

with alone("analytics") as connection:
    context.configure(connection, version_table_schema="analytics")
    context.run_migrations()
