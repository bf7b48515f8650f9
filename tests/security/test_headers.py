"""Whatever stands in a header: the service goes on at once, and answers.

aiohttp and Python read some headers in quadratic time, as long as a header may be a minute long.
"""

import asyncio
from pathlib import Path

import pytest
from yarl import URL

from tests.conftest import Stack
from tests.security.budget import STEP_MAX_SECONDS, in_calm

HEADERS = (
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie"),
    *("Content-Disposition", "Content-Encoding", "Content-Type", "Expect", "Forwarded", "Host"),
    *("HX-Current-URL", "HX-Request", "Idempotency-Key", "If-Match", "If-Modified-Since"),
    *("If-None-Match", "Last-Event-ID", "Origin", "Range", "Referer", "Sec-Fetch-Site"),
    *("X-Forwarded-For", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Request-Id", "X-Role"),
)
# Each repeated: what separates things, what quotes, and what may be read in two ways.
PIECES = ("a; ", "a=b; ", ";", ",", "a;q=0.1,", '"\\', '; a="', "a/b;c=", "1.2.3.4,", "/", "x", " ")
# Nearly as long as a header may be.
LENGTH = 60_000
# Of CPU, in a process of which the system counts hundredths of a second: reading 60 kB costs some.
COST_MAX_SECONDS = STEP_MAX_SECONDS + 0.05
RUNS = 3
TICKS_A_SECOND = 100


@pytest.mark.parametrize(
    ("service", "address", "path"),
    [("web", "WEB_URL", "/tickets"), ("ticket_svc", "TICKET_API_URL", "/v1/tickets")],
)
async def test_no_header_takes_long(stack: Stack, service: str, address: str, path: str) -> None:
    url = URL(stack[address])
    process = stack.processes[service].pid
    known = {"Host": url.authority, "Origin": str(url.origin()), "Cookie": "role=user"}
    known |= {"Content-Type": "application/x-www-form-urlencoded", "X-Role": "user"}
    known |= {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
    if service == "ticket_svc":
        known["Content-Type"] = "application/json"
    over = []
    for name in HEADERS:
        for piece in PIECES:
            headers = known | {name: (piece * LENGTH)[:LENGTH].strip() or "x"}
            costs = []
            for _ in range(RUNS):
                before = cpu_seconds(process)
                status = await post(url, path, headers)
                costs.append(in_calm(cpu_seconds(process) - before))
                assert status < 500, (name, piece)
                if costs[-1] <= COST_MAX_SECONDS:
                    break
            if min(costs) > COST_MAX_SECONDS:
                over.append(f"{name}: {piece!r}…: {min(costs):.2f} s")
    assert not over, "\n".join(over)


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


async def post(url: URL, path: str, headers: dict[str, str]) -> int:
    """Send a small body and return the status; raises TimeoutError."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
        writer.write("\r\n".join((*lines, "Content-Length: 6", "", "text=x")).encode())
        async with asyncio.timeout(10):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()
