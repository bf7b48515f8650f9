"""Every form says what browsers may put back: nothing, or what was typed into that very form.

What browsers do with it is shown in tests/browser/test_restored.py.
"""

import re
from pathlib import Path

import pytest

from tests.web.conftest import Api, MakePerson, Person
from web.render import __file__ as package

TEMPLATES = sorted((Path(package).parent / "templates").glob("*.html"))
FORM = re.compile(r"<form\b(.*?)</form>", re.DOTALL)
FIELD = re.compile(r"<(?:input|select|textarea)\b[^>]*>")
# The same name for the form and for its first field, and it depends on the page.
NAMED = re.compile(
    r'.*? name="(f\{\{ [\w.| ]+ \}\})".*?>\s*(?:\{#.*?#\}\s*)?<input type="hidden" name="\1">'
)


def test_no_form_takes_what_was_typed_into_another_one() -> None:
    forms = [(path.name, form) for path in TEMPLATES for form in FORM.findall(path.read_text())]
    assert len(forms) > 15
    for name, form in forms:
        opening = form.split(">\n")[0]
        assert 'autocomplete="off"' in opening or NAMED.match(form), (name, opening)


@pytest.mark.parametrize("role", ["user", "helpdesk"])
async def test_no_field_stands_outside_a_form(people: MakePerson, api: Api, role: str) -> None:
    ticket = await api.open("Fields")
    person = people(role)
    for path in ("/", "/tickets", f"/tickets/{ticket.id}", "/replies", "/analytics", "/classifier"):
        seen = await person.see(path)
        assert not FIELD.findall(FORM.sub("", seen.html)), path


async def test_a_form_of_another_role_is_not_taken_and_its_text_comes_back(
    user: Person, people: MakePerson, api: Api
) -> None:
    ticket = await api.open("As whom")
    place = f"/tickets/{ticket.id}/messages"
    refused = await user.send(place, text="typed", **{"as": "helpdesk"})
    assert refused.status == 409
    assert "You are User now" in refused.text
    assert refused.typed("unsent-text") == "typed"
    assert (await api.fetch(ticket.id)).messages == 0
    # Sending it again from there is meant.
    hidden = {name: refused.field(name) for name in ("key", "as")}
    sent = await user.send(place, text="typed", **hidden)
    assert sent.status == 303
    fragment = await user.send(place, text="typed", htmx=True, **{"as": "helpdesk"})
    assert fragment.status == 409
    assert "Load the page again. Your text is still here." in fragment.text
    left = await people(None).send(place, text="typed", **{"as": "user"})
    assert (left.status, left.typed("unsent-text")) == (409, "typed")
    assert "choose a role first" in left.text
    step = await user.send(f"/tickets/{ticket.id}/status", status="active", **{"as": "helpdesk"})
    assert step.status == 409
    assert (await api.fetch(ticket.id)).messages == 1


async def test_a_text_that_is_for_helpdesk_only_becomes_a_report(user: Person) -> None:
    # Who was helpdesk when the page was made presses again what the 409 offers.
    offered = await user.send("/replies", title="A title", text="typed", **{"as": "helpdesk"})
    assert (offered.status, offered.typed("unsent-text")) == (409, "typed")
    refused = await user.send("/replies", title="A title", text="typed", **{"as": "user"})
    assert (refused.status, refused.typed("unsent-text")) == (403, "typed")
    assert "for helpdesk only" in refused.text
    assert 'method="post" action="/tickets"' in refused.html


async def test_every_page_notices_that_its_reader_has_another_role(
    helpdesk: Person, api: Api
) -> None:
    ticket = await api.open("Read by whom")
    reports = ("/analytics", "/analytics/active", "/classifier")
    tickets = ("/tickets", f"/tickets/{ticket.id}", f"/tickets/{ticket.id}?until=9")
    for path in ("/", "/replies", *tickets, *reports):
        seen = await helpdesk.see(path)
        assert re.search(r'<script src="/static/(app|reader)\.', seen.html), path


async def test_the_entry_says_who_reads(people: MakePerson) -> None:
    for role, name in ((None, "nobody"), ("user", "user"), ("helpdesk", "helpdesk")):
        person = people(role)
        assert f'<body data-reader="{name} en system">' in (await person.see("/")).html
        await person.send("/preferences", language="it", theme="dark")
        assert f'<body data-reader="{name} it dark">' in (await person.see("/")).html
