"""Where an operator limits the token: what REST refuses, and what people read then."""

from typing import NamedTuple
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer

from runtime.limits import Rate
from tests.signing import signing_keys
from tests.web.conftest import NO_BROKER, MakePerson, Serve
from ticket_svc.app import build_app
from ticket_svc.middlewares import LIMITED_TOTAL
from ticket_svc.settings import Settings

TOKEN = "a token with limits"
ONE_EACH = {"write": (Rate(1, 1),), "search": (Rate(1, 1),)}
WRITE = ("POST", "/v1/tickets", {"description": "Written"})


class Call(NamedTuple):
    method: str
    path: str
    body: object = None


CALLS = {
    "write": [
        Call(*WRITE),
        Call("POST", "/v1/tickets/1/messages", {"body": "hello"}),
        Call("PATCH", "/v1/tickets/1", {"description": "Other"}),
        Call("PUT", f"/v1/tickets/1/affected/{uuid4()}"),
        Call("DELETE", "/v1/replies/1"),
    ],
    "search": [
        Call("GET", "/v1/tickets?q=lift"),
        Call("GET", "/v1/tickets/similar?text=lift"),
        Call("GET", "/v1/tickets/1/similar"),
    ],
}
READS = ("/v1/tickets", "/v1/tickets/counts", "/v1/tickets/1", "/v1/tickets/1/messages")


def settings_of(database_url: str) -> Settings:
    keys = signing_keys()
    return Settings(database_url, NO_BROKER, TOKEN, keys, "127.0.0.1", 0, limits=ONE_EACH)


@pytest.mark.parametrize("kind", CALLS)
async def test_a_token_waits_after_too_many_calls_of_a_kind(
    ticket_database_url: str, kind: str
) -> None:
    settings = settings_of(ticket_database_url)
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Role": "helpdesk", "If-Match": "*"}
    before = LIMITED_TOTAL.labels(kind)._value.get()
    async with TestClient(TestServer(build_app(settings))) as client:

        async def ask(method: str, path: str, body: object = None) -> int:
            async with client.request(method, path, json=body, headers=headers) as answer:
                problem = await answer.json(content_type=None) if answer.status == 429 else {}
                if problem:
                    assert answer.content_type == "application/problem+json"
                    assert 0 < int(answer.headers["Retry-After"]) <= 60
                    assert problem["code"] == "too_many_requests"
                return answer.status

        # Who has no token uses nothing up.
        for _ in range(3):
            async with client.post("/v1/tickets", json={}, headers={"X-Role": "user"}) as answer:
                assert answer.status == 401
        (first, *_), others = CALLS[kind], [call for k in CALLS for call in CALLS[k] if k != kind]
        assert await ask(*first) < 400
        assert [await ask(*call) for call in CALLS[kind]] == [429] * len(CALLS[kind])
        assert await ask(*others[0]) < 400
        for path in READS:
            assert await ask("GET", path) in (200, 404)
    assert LIMITED_TOTAL.labels(kind)._value.get() == before + len(CALLS[kind])


@pytest.mark.parametrize("htmx", [False, True])
async def test_pages_say_that_tickets_cannot_be_reached_and_keep_the_text(
    ticket_database_url: str, people: MakePerson, serve: Serve, htmx: bool
) -> None:
    settings = settings_of(ticket_database_url)
    async with TestServer(build_app(settings)) as rest:
        url = str(rest.make_url("")).rstrip("/")
        person = people("user", await serve(ticket_api_url=url, ticket_api_token=TOKEN))
        assert (await person.send("/tickets", text="first")).status == 303
        refused = await person.send("/tickets", text="second", htmx=htmx)
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "Tickets cannot be reached at the moment." in refused.text
    assert "Your text is still here." in refused.text
    assert htmx or refused.typed("unsent-text") == "second"
