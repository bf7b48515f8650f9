"""`python -m web`: serve the pages until SIGTERM or Ctrl-C."""

import logging
import os
import sys

from aiohttp import web

from web.app import build_app
from web.settings import SettingsError, read_settings

# A description of 10 000 characters, percent-encoded, fits into the address of `/tickets/hints`.
LINE_MAX_BYTES = 128 * 1024
# How long requests that already run may take to finish after SIGTERM.
FINISH_SECONDS = 5.0


def main() -> int:
    """Run the server; return 2 where the environment is not usable."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"web: {error}", file=sys.stderr)
        return 2
    web.run_app(
        build_app(settings),
        host=settings.host,
        port=settings.port,
        shutdown_timeout=FINISH_SECONDS,
        access_log=None,
        print=None,
        max_line_size=LINE_MAX_BYTES,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
