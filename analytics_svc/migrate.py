"""Brings the schema `analytics` up to date; a command of its own, never a service's start."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import InternalError, OperationalError

URL_ATTRIBUTE: Final = "database_url"


def migrate(database_url: str) -> None:
    """Apply the migrations that are missing; safe to run again."""
    config = Config(attributes={URL_ATTRIBUTE: database_url})
    folder = str(Path(__file__).with_name("migrations"))
    # A configuration file of Python's reads `%` as the beginning of a name.
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        command.upgrade(config, "head")
    except (OperationalError, InternalError) as error:
        # Nobody is there, or says no to everybody; the migrations are not at fault.
        reason = " ".join(str(error.orig).split())
        raise SystemExit(f"The database cannot be migrated just now: {reason}") from None
