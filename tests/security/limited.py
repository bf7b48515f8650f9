"""A web tier with limits and a clock that stands still, and whatever is limited there."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from runtime.limits import Rate
from tests.runtime.test_limits import Clock
from tests.web.conftest import Person, Seen, Serve
from web.browser import sign
from web.limits import Limits
from web.settings import Kind, Settings

ONE_EACH = {kind: (Rate(1, 60), Rate(100, 6_000)) for kind in Kind}
JSON = {"Accept": "application/json"}
PAGE_ID = "0123456789abcdef"


class Deed(NamedTuple):
    """Something that is limited; `box` is the field in which a text was typed."""

    kind: Kind
    method: str
    path: str
    fields: Mapping[str, str] = {}
    box: str = ""
    role: str = "user"


TEXT = "Typed with <care>, twice"
DEEDS = {
    "report": Deed(Kind.REPORT, "POST", "/tickets", {"text": TEXT, "key": str(uuid4())}, "text"),
    "message": Deed(Kind.MESSAGE, "POST", "/tickets/{id}/messages", {"text": TEXT}, "text"),
    "edit": Deed(
        Kind.MESSAGE,
        "POST",
        "/tickets/{id}/description",
        {"text": TEXT, "version": "1", "was": "x"},
        "text",
    ),
    "me too": Deed(Kind.AFFECTED, "POST", "/tickets/{id}/affected"),
    "typing": Deed(Kind.TYPING, "POST", "/tickets/{id}/typing", {"page": PAGE_ID}),
    "search": Deed(Kind.SEARCH, "GET", "/tickets?q=lift"),
    "similar": Deed(Kind.HINT, "GET", "/tickets/{id}/similar", role="helpdesk"),
    "search of bulk": Deed(
        Kind.SEARCH, "POST", "/tickets/bulk?q=lift", {"do": "active"}, role="helpdesk"
    ),
    "hints": Deed(Kind.HINT, "GET", "/tickets/hints?text=The+lift+is+stuck"),
    "model": Deed(Kind.HINT, "GET", "/classifier?text=The+lift+is+stuck", role="helpdesk"),
    "step": Deed(Kind.WORK, "POST", "/tickets/{id}/status", {"status": "active"}, role="helpdesk"),
    "category": Deed(
        Kind.WORK,
        "POST",
        "/tickets/{id}/category",
        {"category": "facility_management"},
        role="helpdesk",
    ),
    "duplicate": Deed(Kind.WORK, "POST", "/tickets/{id}/duplicate", {"of": "x"}, role="helpdesk"),
    "bulk": Deed(
        Kind.WORK, "POST", "/tickets/bulk", {"do": "active", "ticket": "{id}"}, role="helpdesk"
    ),
    "reply": Deed(Kind.WORK, "POST", "/replies", {"title": "", "text": TEXT}, "text", "helpdesk"),
    "reply again": Deed(
        Kind.WORK, "POST", "/replies/999999", {"title": "", "text": TEXT}, "text", "helpdesk"
    ),
    "reply deleted": Deed(Kind.WORK, "POST", "/replies/999999/delete", role="helpdesk"),
}
every_deed = pytest.mark.parametrize("name", DEEDS)


class Campus(Protocol):
    async def __call__(self, limits: Mapping[str, tuple[Rate, ...]], **more: Any) -> TestServer: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def campus(serve: Serve, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Campus:
    """Return a starter of a web tier with limits and the test's clock."""
    monkeypatch.setattr("web.app.Limits", partial(Limits, clock=clock))

    async def start(limits: Mapping[str, tuple[Rate, ...]], **more: Any) -> TestServer:
        return await serve(limits=limits, **more)

    return start


async def do(person: Person, deed: Deed, ticket_id: int, **headers: str) -> Seen:
    at = str(ticket_id)
    fields = {name: value.replace("{id}", at) for name, value in deed.fields.items()}
    data = fields if deed.method == "POST" else None
    path = deed.path.replace("{id}", at)
    return await person.ask(deed.method, path, data=data, headers=headers)


def cookies(settings: Settings, role: str = "user") -> dict[str, str]:
    """Return the cookies of a browser that has just come."""
    return {"Cookie": f"role={role}; browser={sign(settings.secret, uuid4())}"}


def forgetful(person: Person) -> Person:
    """Return the person, whose client sends only the cookies that a test writes."""
    person.session._cookie_jar = aiohttp.DummyCookieJar()
    return person
