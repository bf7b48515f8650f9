"""Hints while typing: never in the way, and no work for who has gone."""

import asyncio
import time
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from tests.web.conftest import (
    NO_BROKER,
    NOWHERE,
    Api,
    HungClassifier,
    MakePerson,
    Person,
    Serve,
)
from web.classify import CLASSIFY_SECONDS
from web.keys import RPC


async def hints(person: Person, text: str) -> str:
    seen = await person.see("/tickets/hints", params={"text": text})
    assert seen.status == 200
    assert "<html" not in seen.html
    return seen.html


async def test_hints_show_category_words_and_how_sure(user: Person) -> None:
    html = await hints(user, "The projector shows no picture")
    assert "This goes to" in html
    assert "Technical / IT</span> – quite sure. Because of: <mark" in html
    assert '<mark dir="auto">projector</mark>' in html


async def test_hints_show_similar_tickets(user: Person, api: Api) -> None:
    text = f"The projector in room {uuid4().hex} shows no picture"
    ticket = await api.open(text)
    await api.known(ticket)
    html = await hints(user, text)
    shown = html[html.index(f'<a href="/tickets/{ticket.id}" dir="auto">{text}</a>') :]
    assert '<span class="status open">Open</span>' in shown
    assert ">just now</span>" in shown


async def test_a_doubtful_category_is_called_so(user: Person) -> None:
    html = await hints(user, "xyzzy plugh quux")
    assert "This probably goes to" in html
    assert "– not sure" in html


@pytest.mark.parametrize("text", ["", "short", "\x00" * 20])
async def test_hints_never_fail(user: Person, text: str) -> None:
    assert await hints(user, text) == ""


async def test_hints_take_the_longest_text(user: Person) -> None:
    await hints(user, "水が出ない " * 1_600)


async def test_hints_leave_out_what_is_away(people: MakePerson, serve: Serve) -> None:
    server = await serve(ticket_api_url=NOWHERE, amqp_url=NO_BROKER)
    assert await hints(people("user", server), "the projector is broken") == ""


async def test_an_abandoned_request_ends_its_work_and_harms_no_other(hung: HungClassifier) -> None:
    readers = [await asyncio.open_connection(*hung.address) for _ in range(2)]
    for _, writer in readers:
        writer.write(
            b"GET /tickets/hints?text=the+projector+is+broken HTTP/1.1\r\n"
            b"Host: 127.0.0.1\r\nCookie: role=user\r\n\r\n"
        )
        await hung.taken.get()
    before, left_at = _abandoned(), time.perf_counter()
    readers[0][1].close()
    while _abandoned() == before:
        await asyncio.sleep(0.01)
    assert time.perf_counter() - left_at < CLASSIFY_SECONDS / 2
    assert hung.app[RPC].is_connected
    assert await readers[1][0].readline() == b"HTTP/1.1 200 OK\r\n"
    readers[1][1].close()


def _abandoned() -> float:
    labels = {"route": "/tickets/hints", "method": "GET", "status": "499"}
    return REGISTRY.get_sample_value("web_request_seconds_count", labels) or 0.0
