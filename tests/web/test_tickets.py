"""The list and its filters; reporting a problem exactly once."""

import asyncio
from uuid import uuid4

import pytest

from runtime.turns import Turns
from tests.web.conftest import NO_BROKER, NOWHERE, Api, MakePerson, Person, Serve
from web.keys import GATE
from web.pages.tickets_page import PAGE_ROWS


def unique(text: str) -> str:
    return f"{text} {uuid4().hex}"


async def test_the_list_shows_what_is_not_closed(user: Person, helpdesk: Person, api: Api) -> None:
    word = uuid4().hex
    tickets = [await api.open(f"{state} {word}\nsecond line") for state in ("new", "busy", "done")]
    await api.move(tickets[1].id, "active")
    await api.move(tickets[2].id, "active", "closed")
    await api.say(tickets[0].id, "hello")
    for person in (user, helpdesk):
        seen = await person.see(f"/tickets?q={word}")
        assert seen.status == 200
        assert f'href="/tickets/{tickets[0].id}"' in seen.html
        assert f"#{tickets[0].id} · just now · 1 message" in seen.text
        assert "new" in seen.text
        assert "busy" in seen.text
        assert f"done {word}" not in seen.text
        assert "second line" not in seen.text
    closed = await helpdesk.see(f"/tickets?q={word}&status=closed")
    assert "done" in closed.text
    assert "busy" not in closed.text
    assert "done" in (await helpdesk.see(f"/tickets?q={word}&status=all")).text


async def test_users_never_see_closed_tickets(user: Person, api: Api) -> None:
    word = uuid4().hex
    ticket = await api.open(word)
    await api.move(ticket.id, "active", "closed")
    assert 'value="closed"' not in (await user.see("/tickets")).html
    assert (await user.see(f"/tickets?status=closed&q={word}")).status == 403
    for status in ("all", "open&status=active"):
        seen = await user.see(f"/tickets?status={status}&q={word}")
        assert f"/tickets/{ticket.id}" not in seen.html


async def test_filters_are_in_the_address(helpdesk: Person, api: Api) -> None:
    word = uuid4().hex
    it = await api.open(f"Wi-Fi {word}")
    gym = await api.open(f"Gym {word}", category="facility_management")
    seen = await helpdesk.see(f"/tickets?q={word}&category=technical_it")
    assert f"/tickets/{it.id}" in seen.html
    assert f"/tickets/{gym.id}" not in seen.html
    assert 'value="technical_it" selected' in seen.html
    fragment = await helpdesk.see(f"/tickets?q={word}&status=&category=technical_it", htmx=True)
    assert fragment.headers["HX-Push-Url"] == f"/tickets?category=technical_it&q={word}"
    assert fragment.html.startswith('<hx-partial hx-target="#list"')
    assert "<html" not in fragment.html
    assert "HX-Request" in fragment.headers["Vary"]
    headers = {"HX-Request": "true", "HX-Request-Type": "full"}  # after “back”
    back = await helpdesk.see(f"/tickets?q={word}", headers=headers)
    assert "<html" in back.html


async def test_found_words_are_marked_and_harmless(helpdesk: Person, api: Api) -> None:
    word = uuid4().hex[:8]
    await api.open(f"<b>Printer</b> {word}")
    seen = await helpdesk.see(f"/tickets?q=printe+{word}")
    assert f"&lt;b&gt;<mark>Printe</mark>r&lt;/b&gt; <mark>{word}</mark>" in seen.html


async def test_pages_follow_one_another(helpdesk: Person, api: Api) -> None:
    word = uuid4().hex
    ids = [(await api.open(f"{word} {n}")).id for n in range(PAGE_ROWS + 3)]
    first = await helpdesk.see(f"/tickets?q={word}")
    address = first.html.split('id="more-link"')[1].split('href="')[1].split('"')[0]
    address = address.replace("&amp;", "&")
    second = await helpdesk.see(address)
    more = await helpdesk.see(address, htmx=True)
    assert more.html.startswith('<hx-partial hx-target="#rows" hx-swap="beforeend">')
    for page in (second, more):
        assert page.html.count('<li class="row"') == 3
    shown = [n for n in ids if f'id="t{n}"' in first.html or f'id="t{n}"' in second.html]
    assert shown == ids


async def test_an_empty_list_helps(user: Person) -> None:
    seen = await user.see(f"/tickets?q={uuid4().hex}")
    assert "No ticket matches." in seen.text
    assert "Show all open and active tickets" in seen.text


async def test_a_report_is_stored_with_its_category(user: Person, api: Api) -> None:
    text = unique("The projector in room B204 shows no picture")
    form = await user.see("/tickets")
    sent = await user.send("/tickets", text=text, key=form.field("key"))
    assert sent.status == 303
    ticket_id = int(sent.location.rsplit("/", 1)[1])
    ticket = await api.fetch(ticket_id)
    assert ticket.description == text
    assert (ticket.category, ticket.category_source) == ("technical_it", "classifier")
    seen = await user.see(sent.location)
    assert "Thank you. The problem is reported" in seen.text
    assert "Technical / IT" in seen.text
    assert "Thank you." not in (await user.see(sent.location)).text


async def test_a_form_makes_one_ticket_however_often_it_is_sent(user: Person, api: Api) -> None:
    text = unique("Double")
    key = (await user.see("/tickets")).field("key")
    sent = await asyncio.gather(*(user.send("/tickets", text=text, key=key) for _ in range(8)))
    sent += [await user.send("/tickets", text=text, key=key, htmx=True)]
    places = {seen.headers.get("Location") or seen.headers["HX-Redirect"] for seen in sent}
    assert len(places) == 1
    assert len(await api.find(text)) == 1


async def test_an_edited_text_in_the_same_form_is_another_ticket(user: Person, api: Api) -> None:
    text, key = unique("Back"), str(uuid4())
    first = await user.send("/tickets", text=text, key=key)
    edited = [await user.send("/tickets", text=f"{text} edited", key=key) for _ in range(2)]
    assert first.location != edited[0].location == edited[1].location
    assert len(await api.find(text)) == 2


async def test_a_repeat_counts_as_one_when_the_classifier_says_something_else(
    user: Person, people: MakePerson, serve: Serve, api: Api
) -> None:
    text, key = unique("The projector shows no picture"), str(uuid4())
    without = people("user", await serve(amqp_url=NO_BROKER))
    first = await without.send("/tickets", text=text, key=key)
    again = await user.send("/tickets", text=text, key=key)
    assert first.location == again.location
    assert len(await api.find(text)) == 1


async def test_without_the_classifier_the_ticket_is_stored_at_once(
    people: MakePerson, serve: Serve, api: Api
) -> None:
    person = people("user", await serve(amqp_url=NO_BROKER))
    text = unique("No water in the gym")
    sent = await person.send("/tickets", text=text, key=str(uuid4()))
    assert sent.status == 303
    # The request for its category waits in the ticket service's outbox meanwhile.
    [ticket] = await api.find(text)
    assert ticket["category_source"] in (None, "classifier")


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("text", ["   \n ", "x" * 10_001, "bell \x07"])
async def test_a_bad_text_comes_back_with_the_reason(user: Person, text: str, htmx: bool) -> None:
    seen = await user.send("/tickets", text=text, key="k", htmx=htmx)
    assert seen.status == 422
    assert seen.typed("report-text") == text
    assert 'aria-describedby="report-help report-error"' in seen.html
    assert 'aria-invalid="true" autofocus' in seen.html
    assert "The text " in seen.html.split('id="report-error"')[1].split("</p>")[0]
    assert ("<html" in seen.html) is not htmx


async def test_a_text_survives_the_loss_of_the_ticket_service(
    people: MakePerson, serve: Serve
) -> None:
    person = people("user", await serve(ticket_api_url=NOWHERE))
    text = '\n"A text" with <b>markup</b>\r\nand lines'
    seen = await person.send("/tickets", text=text, key="the-key")
    assert seen.status == 503
    assert seen.typed("unsent-text") == text
    assert seen.field("key") == "the-key"
    assert 'action="/tickets"' in seen.html
    fragment = await person.send("/tickets", text=text, htmx=True)
    assert fragment.status == 503
    assert "Your text is still here." in fragment.text
    assert "textarea" not in fragment.html
    page = await person.see("/tickets")
    assert page.status == 503
    assert "try again" in page.text


async def test_a_text_survives_a_crowd(people: MakePerson, serve: Serve) -> None:
    server = await serve()
    person = people("user", server)
    server.app[GATE]._turns = Turns(0, 0, lambda _: 0)
    seen = await person.send("/tickets", text="typed", key="the-key")
    assert (seen.status, seen.headers["Retry-After"]) == (503, "2")
    assert "Very many people" in seen.text
    assert (seen.typed("unsent-text"), seen.field("key")) == ("typed", "the-key")
    assert (await person.see("/tickets")).status == 503
    assert (await person.see("/health/ready")).status == 200
    server.app[GATE]._turns = Turns(1, 0, lambda _: 1)
    assert (await person.send("/tickets", text="typed", key="the-key")).status == 303


@pytest.mark.parametrize("script", ["x", "ü", "字", "😀", "\r\n"])
async def test_every_text_that_is_not_too_long_is_taken_whole(
    user: Person, api: Api, script: str
) -> None:
    text = f"a{script * 9_998}b"
    seen = await user.send("/tickets", text=text, key=str(uuid4()))
    assert seen.status == 303
    stored = await api.fetch(int(seen.location.rsplit("/", 1)[1].split("?")[0]))
    assert stored.description == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    # One that is long in HTML too has a page of its own.
    ("script", "field"),
    [("x", "report-text"), ("😀", "unsent-text"), ("\r\n", "report-text")],
)
async def test_a_text_that_is_too_long_comes_back_with_how_much(
    user: Person, script: str, field: str
) -> None:
    text = f"a{script * 10_005}b"
    seen = await user.send("/tickets", text=text, key=str(uuid4()))
    assert seen.status == 422
    assert "The text is 7 characters too long (10,007; at most 10,000)." in seen.text
    assert seen.typed(field) == text
    assert "maxlength" not in seen.html
