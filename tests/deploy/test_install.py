"""Installing leaves the machine as it was, whatever happens meanwhile; apt itself is a stand-in.

A mount namespace of its own gives each run an empty /usr/sbin, so that no test touches the
machine's: servers that are installed seem missing, and `policy-rc.d` is written beside the test.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

STAMPS = (".venv/installed-test", "node_modules/installed-test")
# Notes what it was asked, and whether Debian's packages were told to start nothing.
APT_GET = """#!/bin/sh
[ -e /usr/sbin/policy-rc.d ] && hushed=hushed || hushed=loud
echo "$* $hushed" >>"$NOTES"
{body}
"""
APT_CACHE = """#!/bin/sh
case $2 in pgbouncer) echo '  Candidate: (none)' ;; *) echo '  Candidate: 1.0' ;; esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository whose Python packages and browser files are installed already."""
    namespace = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False)
    if namespace.returncode:
        pytest.skip("This machine lets nobody make a mount namespace.")
    for name in ("deploy/local", "sbin", "bin", ".venv/bin", "node_modules"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "deploy/local/install.sh", tmp_path / "deploy/local")
    for name in ("requirements.lock", "pyproject.toml", "package-lock.json"):
        (tmp_path / name).touch()
    time.sleep(0.01)
    for name in STAMPS:
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def install(folder: Path) -> Callable[[str], "subprocess.Popen[str]"]:
    """Return a function that begins an installation for the tests with that `apt-get`."""

    def begin(apt_get: str) -> "subprocess.Popen[str]":
        for name, text in {"apt-get": APT_GET.format(body=apt_get), "apt-cache": APT_CACHE}.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        script = 'mount --bind "$1/sbin" /usr/sbin && exec "$1/deploy/local/install.sh" test'
        return subprocess.Popen(
            [
                # A run in the background ignores Ctrl-C, and so would all that it starts.
                *("env", "--default-signal"),
                *("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder)),
            ],
            env={
                "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
                "NOTES": str(folder / "notes"),
                "PYTHON": "/usr/bin/python3",
            },
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return begin


def test_what_the_distribution_lacks_is_said_once_and_the_rest_is_installed(
    folder: Path, install: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    first = install("")
    _, said = first.communicate(timeout=20)
    assert first.returncode == 0, said
    assert "Not in this distribution: pgbouncer." in said
    notes = (folder / "notes").read_text()
    for package in ("nginx-light", "haproxy"):
        assert f"--no-install-recommends {package} hushed" in notes
    assert list((folder / "sbin").iterdir()) == []
    # What is missing still is looked for again, what cannot be had is not.
    second = install("")
    _, said = second.communicate(timeout=20)
    assert "pgbouncer" not in said


def test_it_waits_for_another_program_that_installs(
    folder: Path, install: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    lock = "/var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)"
    running = install(
        f'[ "$(wc -l <"$NOTES")" != 2 ] || {{ echo "E: Could not get lock {lock}"; exit 100; }}'
    )
    _, said = running.communicate(timeout=20)
    assert running.returncode == 0, said
    assert said.count(f"another program that installs packages: {lock}") == 1
    tried = [line.split()[-2] for line in (folder / "notes").read_text().splitlines()]
    assert tried[:3] in (
        ["update", "nginx-light", "nginx-light"],
        ["update", "firefox-esr", "firefox-esr"],
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_installation_leaves_nothing_behind(
    how: signal.Signals, folder: Path, install: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    policy = folder / "sbin" / "policy-rc.d"
    running = install("exec sleep 20")
    while not (folder / "notes").exists():
        time.sleep(0.01)
    assert policy.exists()
    # As a terminal does it: everything in front hears it.
    os.killpg(running.pid, how)
    running.communicate(timeout=10)
    assert running.returncode == 128 + how
    assert not policy.exists()


def test_what_a_killed_installation_left_behind_goes_with_the_next(
    folder: Path, install: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    policy = folder / "sbin" / "policy-rc.d"
    running = install("exec sleep 20")
    while not (folder / "notes").exists():
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert policy.exists()
    # Somebody else's stays.
    install("").communicate(timeout=20)
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 101\n")
    install("").communicate(timeout=20)
    assert policy.exists()
