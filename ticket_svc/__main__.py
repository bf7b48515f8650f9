"""`python -m ticket_svc` serves; `python -m ticket_svc migrate` brings the database up to date."""

import logging
import sys

from runtime.http import run
from runtime.listening import CannotListen
from runtime.logs import start_logging
from ticket_svc.app import build_app
from ticket_svc.keys import GATE
from ticket_svc.settings import Settings, SettingsError, read_settings, required


def main(arguments: list[str]) -> int:
    """Do what the command line says; 2 for a wrong command or environment, 1 for a taken port."""
    start_logging()
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    try:
        match arguments:
            case []:
                serve(read_settings())
            case ["migrate"]:
                # Imported here: the migration's tools are not installed where the service runs.
                from runtime.migrate import migrate

                migrate("ticket_svc", required("TICKET_DATABASE_URL"))
            case _:
                print("usage: python -m ticket_svc [migrate]", file=sys.stderr)
                return 2
    except SettingsError as error:
        print(f"ticket_svc: {error}", file=sys.stderr)
        return 2
    except CannotListen as error:
        print(f"ticket_svc: {error}", file=sys.stderr)
        return 1
    return 0


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs."""
    app = build_app(settings)
    run(app, app[GATE], host=settings.host, port=settings.port, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
