"""Helpdesk says that two tickets are about one problem, and takes it back; both stay."""

from uuid import uuid4

import pytest

from contracts.rest import Ticket
from tests.web.conftest import NOWHERE, Api, MakePerson, Person, Serve
from tests.web.test_ticket import targets

MARKING = '<input id="of"'


@pytest.fixture
async def pair(api: Api) -> tuple[Ticket, Ticket]:
    """Return a ticket, and another one about the same problem."""
    word = uuid4().hex
    first = await api.open(f"The lift of building {word} is stuck")
    return first, await api.open(f"Lift stuck in building {word}")


async def test_helpdesk_sees_similar_tickets(
    user: Person, helpdesk: Person, api: Api, pair: tuple[Ticket, Ticket]
) -> None:
    original, duplicate = pair
    await api.known(original, duplicate)
    place = f"/tickets/{duplicate.id}/similar"
    assert f'href="{place}"' in (await helpdesk.see(f"/tickets/{duplicate.id}")).html
    page, fragment = await helpdesk.see(place), await helpdesk.see(place, htmx=True)
    assert targets(fragment.html) == ["similar"]
    assert "<html" in page.html
    for seen in (page, fragment):
        assert f"{original.title} Open Technical / IT just now · " in seen.text
        assert " alike " in seen.text or "almost the same" in seen.text
        assert f"Mark as duplicate of #{original.id}" in seen.text
    assert "Similar tickets" not in (await user.see(f"/tickets/{duplicate.id}")).text


async def test_a_duplicate_is_marked_and_unmarked(
    user: Person, helpdesk: Person, api: Api, pair: tuple[Ticket, Ticket]
) -> None:
    original, duplicate = pair
    place = f"/tickets/{duplicate.id}"
    await api.say(duplicate.id, "stays here")
    marked = await helpdesk.send(f"{place}/duplicate", of=str(original.id))
    assert (marked.status, marked.location) == (303, place)
    seen = await helpdesk.see(place)
    assert "The ticket is marked as a duplicate." in seen.text
    assert f"Duplicate of #{original.id} {original.title} Not a duplicate" in seen.text
    assert "Similar tickets" not in seen.text
    assert f"marked it as a duplicate: #{original.id}" in seen.text
    assert "stays here" in seen.text
    assert f"Duplicates: #{duplicate.id}" in (await helpdesk.see(f"/tickets/{original.id}")).text
    shown = await user.see(place)
    assert f"Helpdesk goes on in #{original.id} {original.title} ." in shown.text
    assert f'href="/tickets/{original.id}"' in shown.html
    assert "Not a duplicate" not in shown.text
    undone = await helpdesk.send(f"{place}/duplicate", of="", htmx=True)
    assert {"head", "twins", "history"} <= set(targets(undone.html))
    assert "The ticket is no duplicate any more." in undone.text
    assert f"took back that it is a duplicate: #{original.id}" in undone.text
    assert "Helpdesk goes on" not in (await user.see(place)).text
    assert (await api.fetch(duplicate.id)).duplicate_of is None


async def test_a_live_update_tells_of_it(
    user: Person, api: Api, helpdesk: Person, pair: tuple[Ticket, Ticket]
) -> None:
    original, duplicate = pair
    await helpdesk.send(f"/tickets/{duplicate.id}/duplicate", of=f"#{original.id}")
    live = await user.see(f"/tickets/{duplicate.id}?seen=1", htmx=True)
    assert "Updated: Helpdesk marked it as a duplicate." in live.text
    assert f"Helpdesk goes on in #{original.id}" in live.text


async def test_of_a_closed_original_a_user_learns_that_and_when(
    user: Person, helpdesk: Person, api: Api, pair: tuple[Ticket, Ticket]
) -> None:
    original, duplicate = pair
    place = f"/tickets/{duplicate.id}"
    await helpdesk.send(f"{place}/duplicate", of=str(original.id))
    await api.move(original.id, "active", "closed")
    seen = await user.see(place)
    assert f"Helpdesk went on in #{original.id} , which was closed on" in seen.text
    assert original.title not in seen.text
    assert original.title in (await helpdesk.see(place)).text


@pytest.mark.parametrize("htmx", [False, True])
async def test_a_wrong_number_comes_back_with_the_reason(
    helpdesk: Person, api: Api, pair: tuple[Ticket, Ticket], htmx: bool
) -> None:
    original, duplicate = pair
    await helpdesk.send(f"/tickets/{duplicate.id}/duplicate", of=str(original.id))
    third = await api.open("A third ticket")
    for number, status, reason in (
        ("twelve", 422, "Type the number of a ticket, such as 12."),
        ("0", 422, "Type the number of a ticket, such as 12."),
        (str(third.id), 422, "must be another ticket"),
        ("9" * 19, 422, "That is not possible: must be less"),
        ("999999999", 422, "there is no ticket 999999999"),
        (str(duplicate.id), 409, f"is a duplicate of {original.id} itself"),
    ):
        seen = await helpdesk.send(f"/tickets/{third.id}/duplicate", of=number, htmx=htmx)
        assert seen.status == status, number
        assert reason in seen.text
        assert seen.field("of", MARKING) == number
        assert 'aria-invalid="true" aria-describedby="of-error" autofocus' in seen.html
        assert ("<html" in seen.html) is not htmx
    assert (await api.fetch(third.id)).version == 1


async def test_only_helpdesk_marks(user: Person, api: Api, pair: tuple[Ticket, Ticket]) -> None:
    original, duplicate = pair
    for number in (str(original.id), ""):
        seen = await user.send(f"/tickets/{duplicate.id}/duplicate", of=number)
        assert seen.status == 403
    assert (await api.fetch(duplicate.id)).version == 1


async def test_an_original_is_no_duplicate_itself(
    helpdesk: Person, pair: tuple[Ticket, Ticket]
) -> None:
    original, duplicate = pair
    await helpdesk.send(f"/tickets/{duplicate.id}/duplicate", of=str(original.id))
    seen = await helpdesk.see(f"/tickets/{original.id}/similar")
    assert "Similar tickets" in seen.text
    assert "Mark as duplicate" not in seen.text


async def test_a_ticket_is_shown_where_nothing_similar_can_be_had(
    helpdesk: Person, people: MakePerson, serve: Serve
) -> None:
    assert (await helpdesk.see("/tickets/999999999/similar")).status == 404
    person = people("helpdesk", await serve(ticket_api_url=NOWHERE))
    assert (await person.see("/tickets/1/similar")).status == 503
