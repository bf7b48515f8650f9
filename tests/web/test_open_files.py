"""How many pages can be live is said at the start where it is few."""

import os
import subprocess
import sys
from dataclasses import replace

from deploy.local.names import HOST, Names, free_port
from tests.conftest import ROOT


def test_where_few_files_may_be_open_half_are_for_live_pages_and_the_log_says_so(
    names: Names,
) -> None:
    mine = replace(names, values=names.values | {"WEB_URL": f"http://{HOST}:{free_port()}"})
    with subprocess.Popen(
        ["prlimit", "--nofile=256:1024", sys.executable, "-m", "web"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | mine.of_service("web"),
        stderr=subprocess.PIPE,
        text=True,
    ) as web:
        assert web.stderr is not None
        said = web.stderr.readline()
        web.kill()
    assert "512 pages can be live at once, since a process may open 1024 files here" in said
