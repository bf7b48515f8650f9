"""Runs the migrations in one transaction; `analytics_svc.migrate` is the only caller."""

from alembic import context
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from analytics_svc.migrate import URL_ATTRIBUTE

url = make_url(context.config.attributes[URL_ATTRIBUTE]).set(drivername="postgresql+psycopg")

with create_engine(url, poolclass=NullPool).connect() as connection:
    context.configure(connection, version_table_schema="analytics")
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
