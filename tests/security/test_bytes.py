"""Bytes that end a line, a header or a statement elsewhere are text here, or are refused."""

from uuid import uuid4

import pytest

from tests.conftest import Stack
from tests.security.conftest import Rest, send_raw, status_of
from tests.security.inert import assert_locked, find_foreign
from tests.web.conftest import HTMX, Api, Person

CRLF = "x\r\nSet-Cookie: hacked=1\r\nX-Hacked: 1\r\n\r\n<script>window.hacked=1</script>"


@pytest.mark.parametrize("htmx", [False, True])
async def test_a_line_end_in_a_value_begins_no_header(
    helpdesk: Person, api: Api, htmx: bool
) -> None:
    ticket = await api.open(CRLF)
    place = f"/tickets/{ticket.id}"
    forms: dict[str, dict[str, str]] = {
        "/enter": {"role": "helpdesk", "next": f"/{CRLF}"},
        "/tickets": {"text": CRLF, "key": CRLF},
        f"{place}/description": {"text": CRLF, "version": CRLF, "was": CRLF},
        f"{place}/messages": {"text": CRLF, "key": CRLF},
        f"{place}/status": {"status": CRLF},
        f"{place}/category": {"category": CRLF},
    }
    for path, form in forms.items():
        async with helpdesk.session.post(
            path, data=form, headers=HTMX if htmx else {}, allow_redirects=False
        ) as answer:
            assert_locked(answer)
    for path in ("/tickets", "/", "/analytics/unclosed", "/live"):
        names = ("q", "next", "last", "unit", "since", "status", "opened_from")
        async with helpdesk.session.get(path, params=dict.fromkeys(names, CRLF)) as answer:
            assert_locked(answer)


RAW = [
    b"GET /tickets%0d%0aSet-Cookie:%20hacked=1 HTTP/1.1\r\n",
    b"GET /tickets?q=%0d%0aSet-Cookie:%20hacked=1%0d%0a%0d%0a<script> HTTP/1.1\r\n",
    b"GET /tickets?q=a\rSet-Cookie:hacked=1 HTTP/1.1\r\n",
    b"GET /tickets?q=\xff\xfe HTTP/1.1\r\n",
    b"GET /tickets/1%0d%0aSet-Cookie:%20hacked=1 HTTP/1.1\r\nHX-Request: true\r\n",
    b"GET /tickets HTTP/1.1\r\nCookie: said=reported%0d%0aSet-Cookie: hacked=1\r\n",
    b"GET /tickets HTTP/1.1\r\nCookie: role=user\rSet-Cookie: hacked=1\r\n",
    b"GET /tickets HTTP/1.1\r\nX-A: b\r\n Set-Cookie: hacked=1\r\n",
    b"GET /tickets HTTP/1.1\r\nX-A\x00: b\r\n",
    b"GET /tickets HTTP/1.1\r\nHX-Request : true\r\n",
    b"GET /tickets HTTP/1.1\r\nExpect: <script>\r\n",
    b"<script>alert(1)</script> / HTTP/1.1\r\nAccept: text/html\r\n",
    b"POST /leave HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"POST /leave HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
    b"POST /leave HTTP/1.1\r\nContent-Length: -1\r\n",
    b"POST /leave HTTP/1.1\r\nContent-Length: +0\r\n",
    b"POST /leave HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n",
]


@pytest.mark.parametrize("role", [b"", b"Cookie: role=helpdesk\r\n"], ids=["stranger", "helpdesk"])
@pytest.mark.parametrize("start", RAW)
async def test_bytes_that_no_browser_sends_forge_no_answer(
    stack: Stack, start: bytes, role: bytes
) -> None:
    answer = await send_raw(
        stack["WEB_URL"], start + role + b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )
    assert status_of(answer) in (200, 303, 400, 404, 411, 413, 417, 501)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\nset-cookie: hacked" not in head.lower()
    assert b"Traceback" not in body
    if b"text/html" in head.lower():
        assert find_foreign(body.decode()) == []


KEYS = [
    b"not a uuid",
    b"'; DROP TABLE ticket; --",
    b"00000000-0000-4000-8000-00000000000g",
    b"00000000-0000-4000-8000-000000000000\r\n x",
    b"00000000-0000-4000-8000-000000000000\rX-Hacked: 1",
    b"00000000-0000-4000-8000-000000000000\x00",
    b"\xd9\xa1" * 16,
    b"",
]


@pytest.mark.parametrize("key", KEYS)
async def test_an_idempotency_key_is_a_uuid_or_refused(
    rest: Rest, stack: Stack, key: bytes
) -> None:
    body = b'{"description": "with a forged key"}'
    answer = await send_raw(
        stack["TICKET_API_URL"],
        b"POST /v1/tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Role: user\r\n"
        b"Authorization: Bearer %b\r\nIdempotency-Key: %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (rest.token.encode(), key, len(body), body),
    )
    assert status_of(answer) in (400, 422)
    assert b"X-Hacked" not in answer.partition(b"\r\n\r\n")[0]


SQL = [
    "{word}' OR '1'='1",
    "{word}'; DROP TABLE ticket; --",
    '{word}" OR 1=1',
    "{word}%",
    "%{word}",
    "{word}\\",
    "\\{word}",
    "{word}$1",
    "{word}) UNION SELECT",
    "{word}%s",
]


@pytest.mark.parametrize("text", SQL)
async def test_a_search_is_for_the_text_as_typed(
    rest: Rest, user: Person, api: Api, text: str
) -> None:
    word = uuid4().hex
    typed = text.replace("{word}", word)
    plain = await api.open(f"Holds {word} alone")
    await api.say(plain.id, f"Again {word}")
    assert await api.find(typed) == []
    exact = await api.open(f"Holds {typed} as typed")
    found = [ticket["id"] for ticket in await api.find(typed)]
    assert found == [exact.id]
    seen = await user.see("/tickets", params={"q": typed})
    assert f'id="t{exact.id}"' in seen.html
    assert f'id="t{plain.id}"' not in seen.html
    for field in ("status", "category", "sort", "limit", "cursor", "opened_from"):
        answer = await rest.as_role("user", "GET", f"/v1/tickets?{field}={typed.split()[0]}'")
        assert answer.status == 422, field
    assert (await api.fetch(plain.id)).description == f"Holds {word} alone"


@pytest.mark.parametrize("text", ["{word}_", "{word}/**/", "{word}\u2019", "*{word}", "({word})"])
async def test_what_stands_around_a_word_is_not_looked_for(api: Api, text: str) -> None:
    word = uuid4().hex
    ticket = await api.open(f"Holds {word} alone")
    assert [found["id"] for found in await api.find(text.replace("{word}", word))] == [ticket.id]
