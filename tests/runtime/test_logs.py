"""Every service's log says when something happened, in the same words."""

import logging
import re

from deploy.local.names import SERVICES
from runtime.logs import ENTRIES, Bounded
from tests.conftest import Stack

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR) [\w.]+: ")


async def test_every_entry_of_every_log_begins_with_its_time(stack: Stack) -> None:
    for service in SERVICES:
        lines = stack.log(service).read_text(errors="replace").splitlines()
        # What belongs to the entry before, such as a traceback, is indented or names an error.
        entries = [line for line in lines if re.search(r"\b(INFO|WARNING|ERROR) [\w.]+: ", line)]
        assert entries, service
        assert [line for line in entries if not LINE.match(line)] == [], service


def test_no_place_in_the_code_fills_the_log() -> None:
    now = 0.0
    written: list[str] = []
    log = logging.getLogger("of a test")
    handler = logging.Handler()
    handler.emit = lambda record: written.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(Bounded(lambda: now))
    log.addHandler(handler)
    try:
        for number in range(1_000):
            log.error("%d cannot be understood, 100 %%", number)
        assert len(written) == ENTRIES.burst
        log.error("another place")
        assert written[-1] == "another place"
        now += 60
        for number in (1_000, 1_001):
            log.error("%d is told again", number)
        for number in range(2):
            log.error("%d cannot be understood, 100 %%", number)
    finally:
        log.removeHandler(handler)
    assert len(written) == ENTRIES.burst + 5


def test_what_was_left_out_is_counted() -> None:
    now = 0.0
    bounded = Bounded(lambda: now)

    def entry(number: int) -> logging.LogRecord:
        return logging.LogRecord("x", logging.ERROR, "a.py", 1, "100 %% of %d", (number,), None)

    passed = [bounded.filter(entry(number)) for number in range(ENTRIES.burst + 50)]
    assert sum(passed) == ENTRIES.burst
    now += 60
    first, second = entry(1), entry(2)
    assert bounded.filter(first)
    assert first.getMessage() == "100 % of 1 (50 more like it were left out)"
    assert bounded.filter(second)
    assert second.getMessage() == "100 % of 2"
