"""`python -m ticket_svc` serves; `python -m ticket_svc migrate` brings the database up to date."""

import logging
import sys

from aiohttp import web

from ticket_svc.app import build_app
from ticket_svc.settings import Settings, SettingsError, read_settings, required

STOP_TIMEOUT_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Do what the command line says; 2 for a wrong command or environment."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    try:
        match arguments:
            case []:
                serve(read_settings())
            case ["migrate"]:
                # Imported here: the migration's tools are not installed where the service runs.
                from ticket_svc.migrate import migrate

                migrate(required("TICKET_DATABASE_URL"))
            case _:
                print("usage: python -m ticket_svc [migrate]", file=sys.stderr)
                return 2
    except SettingsError as error:
        print(f"ticket_svc: {error}", file=sys.stderr)
        return 2
    return 0


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs, at most STOP_TIMEOUT_SECONDS."""
    web.run_app(
        build_app(settings),
        host=settings.host,
        port=settings.port,
        shutdown_timeout=STOP_TIMEOUT_SECONDS,
        access_log=None,
        print=None,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
