"""Every service's log says when something happened, in the same words."""

import re

from deploy.local.names import SERVICES
from tests.conftest import Stack

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR) [\w.]+: ")


async def test_every_entry_of_every_log_begins_with_its_time(stack: Stack) -> None:
    for service in SERVICES:
        lines = stack.log(service).read_text(errors="replace").splitlines()
        # What belongs to the entry before, such as a traceback, is indented or names an error.
        entries = [line for line in lines if re.search(r"\b(INFO|WARNING|ERROR) [\w.]+: ", line)]
        assert entries, service
        assert [line for line in entries if not LINE.match(line)] == [], service
