"""`python -m web`: serve the pages until SIGTERM or Ctrl-C."""

import logging
import os
import resource
import sys

from runtime.http import run
from runtime.listening import CannotListen
from runtime.logs import start_logging
from web.app import build_app
from web.forwarded import client_network
from web.keys import GATE
from web.pages.errors import say_unreadable
from web.settings import SettingsError, read_settings
from web.streams import STREAMS_MAX, room

log = logging.getLogger(__name__)


def main() -> int:
    """Run the server; return 2 where the environment is not usable, 1 where the port is taken."""
    start_logging()
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"web: {error}", file=sys.stderr)
        return 2
    # Each open page is a file.
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if room() < STREAMS_MAX:
        log.warning(
            "%d pages can be live at once, since a process may open %d files here (ulimit -Hn); "
            "%d can where it may open more",
            *(room(), files, STREAMS_MAX),
        )
    app = build_app(settings)
    try:
        run(
            app,
            app[GATE],
            host=settings.host,
            port=settings.port,
            drain_s=settings.drain_s,
            say=say_unreadable(app),
            find_caller=client_network,
        )
    except CannotListen as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
