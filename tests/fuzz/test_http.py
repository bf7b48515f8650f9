"""Requests that no client library sends: broken bodies, headers, methods and tokens.

Both HTTP services answer each with a status below 500, or end the connection, and change nothing.
"""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import strategies as st

from contracts.rest import Problem
from tests.conftest import Stack
from tests.fuzz.conftest import TIMES, ServiceLogs, fuzz_here
from tests.fuzz.odd import GARBAGE
from tests.fuzz.raw import exchange, request
from tests.fuzz.test_forms import DEEDS, FORM
from ticket_svc.problems import CONTENT_TYPE

CASES = 300
METHODS = [b"GET", b"POST", b"PATCH", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"PURGE"]
PATHS = [
    b"/v1/tickets",
    b"/v1/tickets/1",
    b"/v1/tickets/1/status",
    b"/v1/tickets/1/messages",
    b"/v1/tickets/%31",
    b"/v1/tickets/1%00",
    b"/v1/tickets/..%2f..%2fetc%2fpasswd",
    b"/v1//tickets",
    b"/v1%2ftickets",
    b"/tickets",
    b"/tickets/1/messages",
    b"/tickets/1/status",
    b"/enter",
    b"/nothing",
    b"*",
    b"http://127.0.0.1/v1/tickets/1",
]
BODIES = st.sampled_from(
    [
        (b'{"description":', {b"Content-Length": b"15"}),
        (b"zz\r\n{}\r\n0\r\n\r\n", {b"Transfer-Encoding": b"chunked"}),
        (b"5\r\n{}\r\n0\r\n\r\n", {b"Transfer-Encoding": b"chunked"}),
        (b"0\r\n\r\n", {b"Transfer-Encoding": b"chunked"}),
        (b"not gzip", {b"Content-Encoding": b"gzip"}),
        (b"\x1f\x8b\x08\x00", {b"Content-Encoding": b"gzip"}),
        (b"\x00", {b"Content-Encoding": b"deflate"}),
        (b"{}", {b"Content-Encoding": b"br"}),
        (b"{}", {b"Content-Encoding": b"nothing, gzip"}),
        (b"{}", {b"Content-Length": b"-1"}),
        (b"{}", {b"Content-Length": b"2, 2"}),
        (b"{}", {b"Content-Length": b"2", b"Transfer-Encoding": b"chunked"}),
        (b"{}", {b"Expect": b"100-continue"}),
        (b"{}", {b"Expect": b"200-ok"}),
        (b"text=\x00", {}),
        (b"x" * 140_000, {}),
    ]
) | GARBAGE.map(lambda body: (body, {}))
TYPES = st.sampled_from(
    [b"application/json", b"application/json; charset=utf-7", b"application/json;;=", b"\xff", b"/"]
) | st.just(FORM)
NAMES = [
    b"X-Role", b"Authorization", b"Cookie", b"If-Match", b"If-None-Match", b"Idempotency-Key",
    b"Accept-Encoding", b"HX-Request", b"Range", b"Origin", b"Host", b"Upgrade", b"Last-Event-ID",
    b"X-Forwarded-Proto", b"X-HTTP-Method-Override",
]  # fmt: skip
ODD_HEADERS = st.dictionaries(
    st.sampled_from(NAMES),
    st.binary(max_size=30).map(lambda value: bytes(b for b in value if b >= 0x20 and b != 0x7F))
    | st.sampled_from([b'"1"', b"*", b'W/"1"', b'"', b"user", b"helpdesk", b"Bearer ", b"gzip"]),
    max_size=3,
)


@pytest.fixture
async def database(stack: Stack, service_logs: ServiceLogs) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack["TICKET_DATABASE_URL"])
    yield connection
    await connection.close()


@pytest.mark.timeout(120 * TIMES)
@pytest.mark.parametrize("service", ["web", "ticket_svc"])
async def test_whatever_arrives_over_http_is_answered_or_cut_off(
    stack: Stack, database: asyncpg.Connection, service: str
) -> None:
    url = stack["WEB_URL"] if service == "web" else stack["TICKET_API_URL"]
    right = {
        b"Authorization": b"Bearer " + stack["TICKET_API_TOKEN"].encode(),
        b"X-Role": b"helpdesk",
        b"Cookie": b"role=helpdesk",
        b"If-Match": b"*",
    }
    before = await database.fetchrow(DEEDS)

    async def send(case: tuple[bytes, bytes, bytes, dict[bytes, bytes], tuple]) -> None:
        nonlocal before
        method, path, kind, headers, (body, of_body) = case
        lines = right | {b"Content-Type": kind} | of_body | headers
        answer = await exchange(url, request(method, path, lines, body))
        assert answer.status < 500, answer
        after = await database.fetchrow(DEEDS)
        assert answer.status in (200, 201, 303) or after == before
        before = after
        if answer.content_type == CONTENT_TYPE and method != b"HEAD":
            assert Problem.model_validate(json.loads(answer.body)).status == answer.status

    cases = st.tuples(st.sampled_from(METHODS), st.sampled_from(PATHS), TYPES, ODD_HEADERS, BODIES)
    assert await fuzz_here(cases, CASES, send) >= CASES
