"""Brings the database to the newest version; never part of a service's start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import make_url


def migrate(database_url: str) -> None:
    """Apply every migration that is missing; safe to run again, and twice at once."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["url"] = make_url(database_url).set(drivername="postgresql+psycopg")
    command.upgrade(config, "head")
