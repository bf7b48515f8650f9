"""Promise 1 under fire, for a minute; `make faults` does it for as long as you like."""

import asyncio
import sys

import pytest

from tests.conftest import ROOT

MINUTES = "0.9"
SEED = "7"


# Two stacks of servers start, and a hang alone may last 30 s.
@pytest.mark.timeout(420)
async def test_nothing_is_lost_or_doubled_while_everything_dies_in_turn() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults", "--minutes", MINUTES, "--seed", SEED),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
    print(said.decode())
    assert process.returncode == 0
