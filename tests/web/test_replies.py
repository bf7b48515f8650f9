"""Canned replies: helpdesk's own page lists, adds, edits and deletes them; messages take them."""

from uuid import uuid4

import pytest

from tests.web.conftest import NOWHERE, Api, MakePerson, Person, Serve


async def test_a_reply_is_added_edited_and_deleted(helpdesk: Person, api: Api) -> None:
    title = f"On our way {uuid4().hex}"
    added = await helpdesk.send("/replies", title=title, text="Somebody\r\ncomes today.")
    assert (added.status, added.location) == (303, "/replies")
    seen = await helpdesk.see("/replies")
    assert "The reply is added." in seen.text
    [kept] = [r for r in (await api.ask("GET", "/replies"))["items"] if r["title"] == title]
    assert kept["body"] == "Somebody\ncomes today."
    assert seen.typed(f"text-{kept['id']}") == "Somebody\ncomes today."
    place = f"/replies/{kept['id']}"
    assert (await helpdesk.see(place)).html == "Somebody\ncomes today."
    saved = await helpdesk.send(place, title=f"{title}!", text="Tomorrow.")
    assert saved.location == "/replies"
    seen = await helpdesk.see("/replies")
    assert "The reply is saved." in seen.text
    assert seen.typed(f"text-{kept['id']}") == "Tomorrow."
    for _ in range(2):
        assert (await helpdesk.send(f"{place}/delete")).location == "/replies"
    seen = await helpdesk.see("/replies")
    assert "The reply is deleted." in seen.text
    assert title not in seen.text
    assert (await helpdesk.see(place)).status == 404


@pytest.mark.parametrize(
    ("title", "text", "status", "field", "sentence"),
    [
        ("", "Text", 422, "title", "Title must not be empty."),
        ("x" * 81, "Text", 422, "title", "Title is 1 character too long (81; at most 80)."),
        ("Title", " ", 422, "text", "Text must not be empty."),
        ("{taken}", "Another", 409, "title", "Title is the title of another reply already."),
    ],
)
async def test_a_refused_reply_comes_back_with_field_and_reason(
    helpdesk: Person, title: str, text: str, status: int, field: str, sentence: str
) -> None:
    taken = f"Taken {uuid4().hex}"
    await helpdesk.send("/replies", title=taken, text="One")
    title = title.replace("{taken}", taken.upper())
    seen = await helpdesk.send("/replies", title=title, text=text)
    assert seen.status == status
    assert sentence in seen.text
    assert seen.html.count('aria-invalid="true"') == 1
    assert f'aria-describedby="{field}-error" autofocus' in seen.html
    assert f'value="{title}"' in seen.html
    assert seen.typed("text-0") == text


async def test_an_edit_that_is_refused_comes_back_open(helpdesk: Person, api: Api) -> None:
    title = f"Edited {uuid4().hex}"
    reply = await api.ask("POST", "/replies", json={"title": title, "body": "Old"})
    seen = await helpdesk.send(f"/replies/{reply['id']}", title="", text="New text")
    assert seen.status == 422
    assert f'<details id="reply-{reply["id"]}" class="card" open>' in seen.html
    assert seen.typed(f"text-{reply['id']}") == "New text"
    assert seen.typed("text-0") == ""


async def test_an_edit_of_a_reply_that_is_gone_keeps_the_text(helpdesk: Person) -> None:
    seen = await helpdesk.send("/replies/999999999", title="Gone", text="Still here")
    assert seen.status == 404
    assert "Somebody deleted this reply meanwhile." in seen.text
    assert seen.typed("text-0") == "Still here"


async def test_a_reply_survives_the_loss_of_the_ticket_service(
    people: MakePerson, serve: Serve
) -> None:
    person = people("helpdesk", await serve(ticket_api_url=NOWHERE))
    for place in ("/replies", "/replies/3"):
        seen = await person.send(place, title="Kept title", text="Kept text")
        assert seen.status == 503
        assert seen.typed("unsent-text") == "Kept text"
        assert seen.field("title") == "Kept title"
        assert f'action="{place}"' in seen.html


async def test_without_scripts_a_reply_comes_behind_what_is_typed(
    user: Person, helpdesk: Person, api: Api
) -> None:
    ticket = await api.open("Answer me")
    title = f"Answer {uuid4().hex}"
    reply = await api.ask("POST", "/replies", json={"title": title, "body": "We come."})
    place = f"/tickets/{ticket.id}"
    page = await helpdesk.see(place)
    assert title in page.text
    assert "Canned reply" not in (await user.see(place)).text
    key = page.field("key", 'id="reply"')
    for typed, shown in (("Hello\r\n", "Hello\n\nWe come."), ("", "We come.")):
        seen = await helpdesk.send(
            f"{place}/messages", text=typed, key=key, reply=str(reply["id"]), insert="1"
        )
        assert seen.status == 200
        assert seen.typed("reply-text") == shown
        assert seen.field("key", 'id="reply"') == key
    odd = await helpdesk.send(f"{place}/messages", text="Only mine", reply="x", insert="1")
    assert odd.typed("reply-text") == "Only mine"
    assert (await api.fetch(ticket.id)).messages == 0
