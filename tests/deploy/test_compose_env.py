"""`make env` gives containers random secrets, and an older `.env` those that it lacks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

EMPTY = [
    line[:-1]
    for line in (ROOT / ".env.example").read_text().splitlines()
    if line.endswith("=") and not line.startswith("#")
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with what writes `.env`."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "compose_env.py", tmp_path / "deploy")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def make_env(copy: Path) -> dict[str, str]:
    """Run it; return what `.env` sets."""
    subprocess.run([sys.executable, "deploy/compose_env.py"], cwd=copy, check=True)
    lines = (copy / ".env").read_text().splitlines()
    return dict(
        line.split("=", maxsplit=1) for line in lines if "=" in line and not line.startswith("#")
    )


def test_each_secret_is_random_and_nobody_elses_to_read(copy: Path) -> None:
    made = make_env(copy)
    secrets = {made[name] for name in EMPTY}
    assert len(secrets) == len(EMPTY)
    assert min(map(len, secrets)) >= 24
    assert (copy / ".env").stat().st_mode & 0o777 == 0o600


def test_what_is_set_stays_and_what_lacks_is_added(copy: Path) -> None:
    (copy / ".env").write_text("# mine\nTICKET_API_TOKEN=kept\nMY_OWN=as it is")
    made = make_env(copy)
    assert (made["TICKET_API_TOKEN"], made["MY_OWN"]) == ("kept", "as it is")
    assert all(made[name] for name in EMPTY)
    assert (copy / ".env").read_text().startswith("# mine\n")
    assert make_env(copy) == made
