"""The command line; see `python -m analytics_svc --help`."""

import argparse
import asyncio
import logging
import os
import sys

from tqdm import tqdm  # type: ignore[import-untyped]

from analytics_svc.app import PROJECTION, REPORTS, WORKERS, serve
from analytics_svc.database import connect
from analytics_svc.rebuild import ExportFailed, TicketApi, rebuild
from analytics_svc.settings import BROKER, DATABASE, EVENTS, TICKET_API, SettingError, Settings
from runtime.listening import CannotListen
from runtime.logs import start_logging
from runtime.postgres import DatabaseAway
from runtime.sessions import only_ours


def main() -> int:
    """Run a command; return 2 for what an operator got wrong, 1 for what is away or taken."""
    arguments = _parser().parse_args()
    start_logging()
    logging.getLogger("alembic.runtime.plugins").setLevel("WARNING")  # lists what it has
    try:
        return _run(arguments)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except (DatabaseAway, ExportFailed, CannotListen) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # a rebuild that was stopped; the service has its own handler
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analytics_svc", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", title="without a command: all workers")
    commands.add_parser(PROJECTION, help="only follow the events")
    report = commands.add_parser("report", help="only answer one report")
    report.add_argument("name", choices=REPORTS)
    commands.add_parser("rebuild", help="fill the read model again from the ticket service")
    commands.add_parser("migrate", help="bring the schema up to date")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "migrate":
            # Alembic is in the image of the migrations, not in that of the service.
            from runtime.migrate import migrate

            migrate("analytics_svc", Settings.read(os.environ, DATABASE).database_url)
        case "rebuild":
            asyncio.run(_rebuild(Settings.read(os.environ, DATABASE | TICKET_API)))
        case "report":
            asyncio.run(serve(Settings.read(os.environ, DATABASE | BROKER), [arguments.name]))
        case command:
            names = [command] if command else list(WORKERS)
            settings = Settings.read(os.environ, DATABASE | BROKER | TICKET_API | EVENTS)
            asyncio.run(serve(settings, names))
    return 0


async def _rebuild(settings: Settings) -> None:
    api = TicketApi(settings.ticket_api_url, settings.ticket_api_token)
    url = settings.database_url
    async with only_ours("ANALYTICS_DATABASE_URL", url), connect(url) as pool:
        with tqdm(
            desc="rebuild", unit=" tickets", unit_scale=True, leave=False, disable=None
        ) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            await rebuild(pool, api, settings.timezone, show)


if __name__ == "__main__":
    sys.exit(main())
