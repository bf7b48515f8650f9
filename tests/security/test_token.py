"""Only who has the token gets in; what is open to everybody holds nothing of anybody."""

import json
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from deploy.local.names import PRIVATE, PUBLIC
from tests.conftest import Stack
from tests.security.conftest import Rest, send_raw, status_of
from tests.web.conftest import Api, Person
from ticket_svc.routes import REST

WRONG = {
    "none": None,
    "empty": "",
    "no token": "Bearer",
    "a blank token": "Bearer ",
    "another token": "Bearer wrong",
    "the first half": "Bearer {half}",
    "one letter more": "Bearer {token}x",
    "other case": "Bearer {other_case}",
    "another scheme": "Basic {token}",
    "no scheme": "{token}",
    "twice": "Bearer {token}, Bearer {token}",
    "not ASCII": "Bearer é",
}
# The same address written in other ways.
DETOURS = (
    b"/%76%31/tickets",
    b"/v1%2Ftickets",
    b"/v1/%74ickets",
    b"/v1/tickets;x=1",
    b"/v1/tickets/",
    b"//v1/tickets",
    b"/v1//tickets",
    b"/V1/tickets",
    b"/./v1/tickets",
    b"/health/../v1/tickets",
    b"/openapi.json/../v1/tickets",
    b"http://127.0.0.1/v1/tickets",
    b"/v1/tickets?token=%s",
    b"/v1/tickets?Authorization=Bearer+%s",
    b"/v1/tickets?access_token=%s",
)


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
async def test_every_call_needs_the_token(rest: Rest, route, given: str | None) -> None:
    token = rest.token
    headers = {"X-Role": "helpdesk"}
    if given is not None:
        headers["Authorization"] = given.format(
            token=token, half=token[: len(token) // 2], other_case=token.swapcase()
        )
    answer = await rest.call(route.method, route.path.replace("{id}", "1"), headers=headers)
    assert answer.status == 401
    assert json.loads(answer.text)["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert token not in answer.text


@pytest.mark.parametrize("path", DETOURS)
async def test_no_detour_leads_past_the_token(stack: Stack, path: bytes) -> None:
    target = path % stack["TICKET_API_TOKEN"].encode() if b"%s" in path else path
    request = (
        b"GET %b HTTP/1.1\r\nHost: x\r\nX-Role: helpdesk\r\nConnection: close\r\n\r\n" % target
    )
    answer = await send_raw(stack["TICKET_API_URL"], request)
    assert status_of(answer) in (400, 401, 404)
    assert b'"items"' not in answer


async def test_the_first_of_two_tokens_counts(rest: Rest, stack: Stack) -> None:
    both = b"Authorization: Bearer wrong\r\nAuthorization: Bearer %b\r\n" % rest.token.encode()
    request = b"GET /v1/tickets HTTP/1.1\r\nHost: x\r\nX-Role: user\r\nConnection: close\r\n%b\r\n"
    assert status_of(await send_raw(stack["TICKET_API_URL"], request % both)) in (400, 401)


async def test_the_token_alone_is_asked_for_before_anything_is_said(rest: Rest, api: Api) -> None:
    ticket = await api.open("There is such a ticket")
    answers = [
        await rest.call("GET", f"/v1/tickets/{number}", headers={"X-Role": "user"})
        for number in (ticket.id, 9_007_199_254_740_991)
    ]
    assert answers[0].text == answers[1].text


def _secrets(stack: Stack) -> set[str]:
    values = [stack[name] for name in (*PUBLIC, *PRIVATE)]
    passwords = {urlsplit(value).password for value in values if "://" in value}
    plain = {stack[name] for name in (*PUBLIC, *PRIVATE) if name.endswith(("PASSWORD", "TOKEN"))}
    return {secret for secret in passwords | plain if secret}


OPEN = {
    "web": ("WEB_URL", ("/health/live", "/health/ready", "/metrics")),
    "ticket_svc": (
        "TICKET_API_URL",
        ("/health/live", "/health/ready", "/metrics", "/openapi.json"),
    ),
}


async def test_what_is_open_to_operators_needs_no_token_and_tells_nothing(
    stack: Stack, api: Api, user: Person
) -> None:
    word = uuid4().hex
    ticket = await api.open(f"Whispered {word}")
    await api.say(ticket.id, f"Whispered {word}")
    await user.see(f"/tickets?q={word}")
    await user.see(f"/tickets/{word}")
    await user.see("/analytics")
    addresses = [stack[name] + path for name, paths in OPEN.values() for path in paths]
    analytics, classifier = (stack.health(name) for name in ("analytics_svc", "classifier_svc"))
    addresses += [analytics.replace("ready", "live"), analytics, classifier]
    addresses += [analytics.replace("health/ready", "metrics")]
    hidden = {word, *_secrets(stack)}
    async with aiohttp.ClientSession() as stranger:
        for address in addresses:
            async with stranger.get(address) as response:
                text = await response.text()
                assert response.status == 200, address
            found = [secret for secret in hidden if secret in text]
            assert not found, address
            for part in ("postgresql://", "amqp://", "Traceback"):
                assert part not in text, address
