"""A database that says no to a migration says so in one sentence."""

import asyncio
import os
import sys

import pytest

from tests.conftest import ROOT, Names


@pytest.mark.parametrize(
    ("service", "name"),
    [("ticket_svc", "TICKET_DATABASE_URL"), ("analytics_svc", "ANALYTICS_DATABASE_URL")],
)
async def test_a_refused_login_is_one_sentence(names: Names, service: str, name: str) -> None:
    url = names[name].replace(names.password(name), "wrong-secret")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", service, "migrate"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], name: url},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    (line,) = said.decode().strip().splitlines()
    assert "cannot be migrated just now" in line
    assert f'password authentication failed for user "{service}"' in line
    assert "wrong-secret" not in line
