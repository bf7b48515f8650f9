"""The words that decided a category are marked on the ticket's page, and cost it nothing."""

import asyncio
import time

from tests.web.conftest import NO_BROKER, Api, HungClassifier, MakePerson, Person, Seen, Serve
from web.classify import CLASSIFY_SECONDS, Because
from web.keys import RPC

TEXT = "The <b>lift</b> in building C is stuck\nThe LIFT, again"
CAPTION = "Facility management because of the marked words"


async def see_marked(person: Person, path: str) -> Seen:
    """Return a page with marks: they may come too late for the first one."""
    async with asyncio.timeout(20):
        while "<mark>" not in (seen := await person.see(path)).html:
            await asyncio.sleep(0.05)
    return seen


async def test_the_deciding_words_are_marked(user: Person, helpdesk: Person, api: Api) -> None:
    ticket = await api.open(TEXT, category="facility_management")
    for person in (user, helpdesk):
        seen = await see_marked(person, f"/tickets/{ticket.id}")
        assert "The &lt;b&gt;<mark>lift</mark>&lt;/b&gt; in " in seen.html
        assert "<mark>LIFT</mark>" in seen.html
        assert CAPTION in seen.text
    await api.say(ticket.id, "news")
    live = await user.see(f"/tickets/{ticket.id}?seen=1", htmx=True)  # remembered by now
    assert "<mark>lift</mark>" in live.html
    assert CAPTION in live.text


async def test_nothing_is_marked_where_something_else_decided(user: Person, api: Api) -> None:
    by_helpdesk = await api.open(TEXT)
    await api.edit(by_helpdesk, category="facility_management")
    by_another_model = await api.open(TEXT, category="technical_it")
    for ticket in (by_helpdesk, by_another_model):
        seen = await user.see(f"/tickets/{ticket.id}")
        assert "<mark>" not in seen.html
        assert "marked words" not in seen.text


async def test_nothing_is_marked_without_the_classifier(
    people: MakePerson, serve: Serve, api: Api
) -> None:
    ticket = await api.open(TEXT, category="facility_management")
    seen = await people("user", await serve(amqp_url=NO_BROKER)).see(f"/tickets/{ticket.id}")
    assert seen.status == 200
    assert "<mark>" not in seen.html


async def test_a_classifier_that_hangs_delays_one_page_for_a_moment(
    hung: HungClassifier, api: Api
) -> None:
    ticket = await api.open(TEXT, category="facility_management")
    tickets = [ticket.model_copy(update={"description": f"{TEXT} {n}"}) for n in range(20)]
    because = Because(hung.app[RPC])
    started = time.perf_counter()
    assert await asyncio.gather(*map(because.words, tickets)) == [[]] * len(tickets)
    assert time.perf_counter() - started < CLASSIFY_SECONDS
    assert hung.taken.qsize() == 1
    assert (await hung.person.see(f"/tickets/{ticket.id}")).status == 200
