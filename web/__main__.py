"""`python -m web`: serve the pages until SIGTERM or Ctrl-C."""

import logging
import os
import resource
import sys

from bus.http import run
from web.app import build_app
from web.keys import GATE
from web.settings import SettingsError, read_settings


def main() -> int:
    """Run the server; return 2 where the environment is not usable."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"web: {error}", file=sys.stderr)
        return 2
    # Each open page is a file.
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    app = build_app(settings)
    run(app, app[GATE], host=settings.host, port=settings.port, drain_s=settings.drain_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
