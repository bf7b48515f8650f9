"""What Alembic runs: every migration in one transaction, while nobody writes or migrates."""

from alembic import context
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from analytics_svc.migrate import URL_ATTRIBUTE
from analytics_svc.store import WRITER_LOCK

url = make_url(context.config.attributes[URL_ATTRIBUTE]).set(drivername="postgresql+psycopg")

with create_engine(url, poolclass=NullPool).begin() as connection:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER_LOCK})
    context.configure(connection, version_table_schema="analytics")
    context.run_migrations()
