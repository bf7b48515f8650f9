"""Fuzzing: what programs send that no person would type; the same cases in every run.

`FUZZ_SEED=<number or "random">` draws other cases (a failure names its seed), and
`FUZZ_TIMES=<n>` n times as many:

    FUZZ_SEED=random FUZZ_TIMES=10 make test ARGS="tests/fuzz --timeout 1200"
"""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.conftest import Stack
from ticket_svc.errors import Refused

CaseT = TypeVar("CaseT")

_WANTED = os.environ.get("FUZZ_SEED", "1")
SEED = random.randrange(2**32) if _WANTED == "random" else int(_WANTED)
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
# A request that takes longer is a finding too.
CASE_SECONDS = 20.0
REPR_CHARACTERS = 3_000


def fuzz(strategy: SearchStrategy[CaseT], cases: int, check: Callable[[CaseT], None]) -> int:
    """Check that many cases of a strategy, and return how many there were.

    Fewer where the strategy has no more. Nothing is shrunk: a server remembers what it was told,
    so a case that fails is shown as it was, and cannot be tried again.
    """
    done = 0
    failure: BaseException | None = None

    @seed(SEED)
    @settings(
        max_examples=cases * TIMES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(case: CaseT) -> None:
        nonlocal done, failure
        if failure is not None:
            return
        try:
            check(case)
        except Exception as error:
            error.add_note(f"Case {done} of FUZZ_SEED={SEED}: {repr(case)[:REPR_CHARACTERS]}")
            # Not raised here, or Hypothesis would try it again.
            failure = error
        done += 1

    run()
    if failure is not None:
        raise failure
    return done


async def fuzz_here(
    strategy: SearchStrategy[CaseT], cases: int, check: Callable[[CaseT], Awaitable[None]]
) -> int:
    """Do the same where `check` needs this event loop; cases are drawn in a thread."""
    loop = asyncio.get_running_loop()

    def wait_for(case: CaseT) -> None:
        work = asyncio.run_coroutine_threadsafe(_bounded(check(case)), loop)
        work.result()

    return await asyncio.to_thread(fuzz, strategy, cases, wait_for)


async def _bounded(work: Awaitable[None]) -> None:
    async with asyncio.timeout(CASE_SECONDS):
        await work


@pytest.fixture
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., None]]:
    """Return a check that nothing in this process has failed unexpectedly.

    It also runs at the end. A refusal may stand in a log; with a traceback only where it is one.
    """

    def check() -> None:
        for record in caplog.get_records("setup") + caplog.get_records("call"):
            text = record.getMessage()
            error = record.exc_info and record.exc_info[1]
            assert error is None or isinstance(error, Refused), f"{text}\n{error!r}"
            assert "support id" not in text
            assert record.name != "asyncio" or record.levelno < logging.WARNING, text

    yield check
    check()


class ServiceLogs:
    """What the processes of a stack have said since the test began."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._began = {name: self._path(name).stat().st_size for name in stack.processes}

    def _path(self, service: str) -> Path:
        return self._stack.log(service)

    def read(self, service: str) -> str:
        with self._path(service).open("rb") as log:
            log.seek(self._began[service])
            return log.read().decode(errors="replace")

    def check(self) -> None:
        """Assert that every process lives and that none met what it did not expect."""
        for service, start in self._began.items():
            assert self._stack.processes[service].poll() is None, f"{service} has died"
            said = self.read(service)
            for word in ("Traceback", "support id", "session failed", "connection lost"):
                assert word not in said, f"{service} (from byte {start}):\n{said[-5000:]}"


@pytest.fixture
def service_logs(stack: Stack) -> Iterator[ServiceLogs]:
    """Return the logs of the shared stack; checked once more at the end."""
    logs = ServiceLogs(stack)
    yield logs
    logs.check()


Json = Any
