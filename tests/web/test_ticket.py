"""One ticket: who sees what of it, what changes it, and that no typed text is lost."""

import asyncio
import re
from uuid import uuid4

import pytest

from tests.web.conftest import NOWHERE, Api, MakePerson, Person, Serve

EDITOR = 'id="editor"'
REPLY = 'id="reply"'


def targets(html: str) -> list[str]:
    return re.findall(r'<hx-partial hx-target="#(\w+)"', html)


async def test_a_ticket_shows_everything(user: Person, helpdesk: Person, api: Api) -> None:
    text = "مكيف الهواء <script>alert(1)</script>\n  two  spaces"
    ticket = await api.open(text)
    await api.say(ticket.id, "We look at it <b>now</b>")
    for person in (user, helpdesk):
        seen = await person.see(f"/tickets/{ticket.id}")
        assert '<p id="description" class="text" dir="auto">' in seen.html
        unmarked = seen.html.replace("<mark>", "").replace("</mark>", "")
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\n  two  spaces</p>" in unmarked
        assert "<script>alert" not in seen.html
        assert "We look at it &lt;b&gt;now&lt;/b&gt;" in seen.html
        for words in ("Open", "Technical / IT assigned automatically", "Opened", "not yet"):
            assert words in seen.text
        assert "User reported the problem" in seen.text
        assert "Helpdesk sent a message" in seen.text
    assert "Start work" not in (await user.see(f"/tickets/{ticket.id}")).text
    assert "Start work" in (await helpdesk.see(f"/tickets/{ticket.id}")).text


async def test_helpdesk_moves_a_ticket_through_its_life(helpdesk: Person, api: Api) -> None:
    ticket = await api.open("A life")
    place = f"/tickets/{ticket.id}"
    moved = await helpdesk.send(f"{place}/status", status="active")
    assert (moved.status, moved.location) == (303, place)
    seen = await helpdesk.see(place)
    assert "Work has started." in seen.text
    assert "Close ticket" in seen.text
    fragment = await helpdesk.send(f"{place}/status", status="closed", htmx=True)
    assert {"head", "actions", "history", "said", "alert"} <= set(targets(fragment.html))
    assert "The ticket is closed." in fragment.text
    closed = await helpdesk.see(place)
    assert "This ticket is closed" in closed.text
    for button in ("Close ticket", "Save description", "Send message", 'id="category"'):
        assert button not in closed.html


async def test_a_wrong_step_is_refused(user: Person, helpdesk: Person, api: Api) -> None:
    ticket = await api.open("Steps")
    place = f"/tickets/{ticket.id}/status"
    assert (await user.send(place, status="active")).status == 403
    assert (await helpdesk.send(place, status="closed")).status == 409
    assert (await helpdesk.send(place, status="gone")).status == 422
    # A step that is made already is no change, and nothing to tell of.
    assert (await helpdesk.send(place, status="open", htmx=True)).status == 200
    assert (await helpdesk.send(place)).status == 422
    assert (await api.fetch(ticket.id)).version == 1


async def test_a_user_at_a_ticket_that_is_closed_keeps_what_was_typed(
    user: Person, api: Api
) -> None:
    ticket = await api.open("Closed meanwhile")
    await api.move(ticket.id, "active", "closed")
    live = await user.see(f"/tickets/{ticket.id}?seen=1", htmx=True)
    assert "It was closed on" in live.text
    assert "reply" not in targets(live.html)
    message = await user.send(f"/tickets/{ticket.id}/messages", text="too late")
    assert message.status == 409
    assert message.typed("unsent-text") == "too late"
    assert 'action="/tickets"' in message.html


async def test_the_category_is_corrected_by_helpdesk_only(
    user: Person, helpdesk: Person, api: Api
) -> None:
    ticket = await api.open("Wrong team")
    place = f"/tickets/{ticket.id}"
    form = await helpdesk.see(place)
    fields = {
        "version": form.field("version", 'id="actions"'),
        "was": form.field("was", 'id="actions"'),
        "category": "facility_management",
    }
    assert (await user.send(f"{place}/category", **fields)).status == 403
    await api.say(ticket.id, "a new version, but the same category")
    assert (await helpdesk.send(f"{place}/category", **fields)).status == 303
    assert "Facility management set by helpdesk" in (await helpdesk.see(place)).text
    fields["category"] = "services_complaints"
    assert (await helpdesk.send(f"{place}/category", **fields)).status == 409
    assert (await helpdesk.send(f"{place}/category", category="")).status == 422
    assert (await api.fetch(ticket.id)).category == "facility_management"


async def test_a_description_is_saved(user: Person, api: Api) -> None:
    ticket = await api.open("Before")
    place = f"/tickets/{ticket.id}"
    form = await user.see(place)
    assert form.typed("editor-text") == "Before"
    fields = {name: form.field(name, EDITOR) for name in ("version", "was")}
    await api.say(ticket.id, "a message is no conflict")
    saved = await user.send(f"{place}/description", text="After\r\nall", **fields)
    assert saved.status == 303
    assert (await api.fetch(ticket.id)).description == "After\nall"
    again = await user.send(f"{place}/description", text="After\r\nall", **fields)
    assert again.status == 303, "a repeated save is no conflict with itself"
    assert "The description is saved." in (await user.see(place)).text


@pytest.mark.parametrize("htmx", [False, True])
async def test_a_conflict_shows_both_texts(user: Person, api: Api, htmx: bool) -> None:
    ticket = await api.open("Original")
    place = f"/tickets/{ticket.id}"
    form = await user.see(place)
    fields = {name: form.field(name, EDITOR) for name in ("version", "was")}
    await api.edit(ticket, description="Theirs")
    seen = await user.send(f"{place}/description", text="Mine", htmx=htmx, **fields)
    assert seen.status == 409
    assert seen.typed("editor-text") == "Mine"
    assert "It says now Theirs" in seen.text
    assert "<mark>Theirs</mark>" in seen.html
    assert (await api.fetch(ticket.id)).description == "Theirs"
    fields = {name: seen.field(name, EDITOR) for name in ("version", "was")}
    assert (await user.send(f"{place}/description", text="Both", **fields)).status == 303
    assert (await api.fetch(ticket.id)).description == "Both"


async def test_of_two_editors_nobody_is_overwritten_unseen(user: Person, api: Api) -> None:
    ticket = await api.open("Race")
    place = f"/tickets/{ticket.id}"
    form = await user.see(place)
    fields = {name: form.field(name, EDITOR) for name in ("version", "was")}
    texts = [f"Text {n}" for n in range(4)]
    seen = await asyncio.gather(
        *(user.send(f"{place}/description", text=text, **fields) for text in texts)
    )
    assert sorted(answer.status for answer in seen) == [303, 409, 409, 409]
    for text, answer in zip(texts, seen, strict=True):
        if answer.status == 409:
            assert answer.typed("editor-text") == text


@pytest.mark.parametrize(
    ("address", "box"), [("description", "editor-text"), ("messages", "reply-text")]
)
@pytest.mark.parametrize("htmx", [False, True])
async def test_a_bad_text_comes_back(
    user: Person, api: Api, address: str, box: str, htmx: bool
) -> None:
    ticket = await api.open("Good")
    text = "é" * 10_001
    seen = await user.send(
        f"/tickets/{ticket.id}/{address}", text=text, version="1", was="", htmx=htmx
    )
    assert seen.status == 422
    assert seen.typed(box) == text
    error = box.replace("text", "error")
    assert f'aria-describedby="{error}"' in seen.html
    assert f'id="{error}"' in seen.html
    assert (await api.fetch(ticket.id)).version == 1


async def test_a_message_is_sent_once(user: Person, helpdesk: Person, api: Api) -> None:
    ticket = await api.open("Once")
    place = f"/tickets/{ticket.id}/messages"
    key = (await user.see(f"/tickets/{ticket.id}")).field("key", REPLY)
    sent = await asyncio.gather(*(user.send(place, text="hello", key=key) for _ in range(6)))
    assert {seen.status for seen in sent} == {303}
    fragment = await helpdesk.send(place, text="hello too", key=str(uuid4()), htmx=True)
    assert targets(fragment.html)[-3:] == ["reply", "said", "alert"]
    assert fragment.field("key", REPLY) != key
    assert fragment.typed("reply-text") == ""
    messages = (await api.ask("GET", f"/tickets/{ticket.id}/messages"))["items"]
    assert [(m["author"], m["body"]) for m in messages] == [
        ("user", "hello"),
        ("helpdesk", "hello too"),
    ]


@pytest.mark.parametrize("address", ["description", "messages"])
async def test_a_text_survives_the_loss_of_the_ticket_service(
    people: MakePerson, serve: Serve, address: str
) -> None:
    person = people("user", await serve(ticket_api_url=NOWHERE))
    place = f"/tickets/1/{address}"
    hidden = {"messages": {"key": "k"}, "description": {"version": "7", "was": "w"}}[address]
    seen = await person.send(place, text="typed", **hidden)
    assert seen.status == 503
    assert seen.typed("unsent-text") == "typed"
    assert f'action="{place}"' in seen.html
    for name, value in hidden.items():
        assert seen.field(name) == value


async def test_a_live_update_brings_only_what_is_new(user: Person, api: Api) -> None:
    ticket = await api.open("Live")
    place = f"/tickets/{ticket.id}"
    assert (await user.see(f"{place}?seen=1", htmx=True)).status == 204
    await api.say(ticket.id, "news")
    fragment = await user.see(f"{place}?seen=1", htmx=True)
    assert "Updated: Helpdesk sent a message." in fragment.text
    assert "news" in fragment.text
    assert "reply" not in targets(fragment.html)
    assert '<data id="seen" value="2">' in fragment.html


@pytest.mark.parametrize("htmx", [False, True])
async def test_in_a_conflict_their_text_can_be_taken(user: Person, api: Api, htmx: bool) -> None:
    ticket = await api.open("Original")
    place = f"/tickets/{ticket.id}"
    await api.edit(ticket, description="Theirs")
    seen = await user.send(f"{place}/description", text="Mine", version="1", was="")
    assert "Take theirs" in seen.text
    fields = {name: seen.field(name, EDITOR) for name in ("version", "was")}
    taken = await user.send(f"{place}/description", text="Mine", theirs="1", htmx=htmx, **fields)
    if htmx:
        assert taken.typed("editor-text") == "Theirs"
        assert '<summary id="editor-summary" autofocus>' in taken.html
    else:
        assert (taken.status, taken.location) == (303, place)
    assert (await api.fetch(ticket.id)).version == 2


async def test_an_update_says_who_changed_the_description_and_when(user: Person, api: Api) -> None:
    ticket = await api.open("Before")
    place = f"/tickets/{ticket.id}"
    was = (await user.see(place)).field("was", EDITOR)
    await api.edit(ticket, description="After")
    fragment = await user.see(f"{place}?seen=1", htmx=True)
    assert "changed" in targets(fragment.html)
    assert re.search(r"Changed at \d+:\d\d:\d\d by Helpdesk while you write", fragment.text)
    assert 'id="changed" class="notice" hidden data-was="' in fragment.html
    assert f'hidden data-was="{was}"' not in fragment.html


async def test_a_ticket_says_how_old_it_is_and_whose_turn_it_is(
    user: Person, helpdesk: Person, api: Api
) -> None:
    ticket = await api.open("Whose turn")
    place = f"/tickets/{ticket.id}"

    async def seen(words: str, for_helpdesk: str) -> None:
        assert words in (await user.see(place)).text
        assert for_helpdesk in (await helpdesk.see(place)).text

    await seen("Waiting for helpdesk since 1 minute", "Waiting for us since 1 minute")
    assert "just now" in (await user.see(place)).text
    await api.move(ticket.id, "active")
    await seen("Helpdesk works on it.", "Nobody waits for an answer.")
    await api.say(ticket.id, "Which room?")
    await seen("Helpdesk has answered.", "now it is the reporter’s turn")
    await api.say(ticket.id, "Room 7", "user")
    await seen("Waiting for helpdesk since", "Waiting for us since")
    await api.move(ticket.id, "closed")
    assert "Nobody has to do anything any more." in (await helpdesk.see(place)).text


async def test_one_click_corrects_the_category(helpdesk: Person, api: Api) -> None:
    ticket = await api.open("One click")
    place = f"/tickets/{ticket.id}"
    page = await helpdesk.see(place)
    assert 'name="category" value="technical_it" aria-pressed="true"' in page.html
    fields = {name: page.field(name, 'id="actions"') for name in ("version", "was")}
    # As browsers send it: what the field says, then the button that was pressed.
    sent = [*fields.items(), ("category", "technical_it"), ("category", "facility_management")]
    saved = await helpdesk.ask("POST", f"{place}/category", data=sent)
    assert saved.status == 303
    assert (await api.fetch(ticket.id)).category == "facility_management"
