"""Brings the database to the newest version; never part of a service's start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import InternalError, OperationalError


def migrate(database_url: str) -> None:
    """Apply every migration that is missing; safe to run again, and twice at once."""
    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    # A configuration file of Python's reads `%` as the beginning of a name.
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["url"] = database_url
    try:
        command.upgrade(config, "head")
    except (OperationalError, InternalError) as error:
        # Nobody is there, or says no to everybody; the migrations are not at fault.
        reason = " ".join(str(error.orig).split())
        raise SystemExit(f"The database cannot be migrated just now: {reason}") from None
