"""Live updates: nothing is missed, nothing piles up, and streams end when the process does."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from contracts.rest import Ticket
from contracts.vocabulary import Category, CategorySource, Status
from tests.cable import BLOCKED, UNBLOCKED, Cable
from tests.conftest import Stack
from tests.signing import keys_of
from tests.web.conftest import Api, MakePerson, Person, Serve
from tests.web.listener import listening, position
from web.event_clock import EventClock
from web.fragments import Fragments
from web.live import KEPT_TICKETS, LIVE, Live
from web.settings import Settings
from web.streams import message
from web.topics import LIST
from web.variant import Variant

EVENT_ID = re.compile(r"[0-9]{16}")


async def connected(live: Live) -> None:
    while not live.is_connected:
        await asyncio.sleep(0.01)


def make_ticket(ticket_id: int, description: str = "Any", version: int = 1) -> Ticket:
    now = datetime.now(UTC)
    return Ticket(
        id=ticket_id,
        description=description,
        status=Status.OPEN,
        category=Category.TECHNICAL_IT,
        category_source=CategorySource.CLASSIFIER,
        opened_at=now,
        modified_at=now,
        closed_at=None,
        version=version,
        messages=0,
    )


# A page that was made before this version says `since`.
@pytest.mark.parametrize("name", ["after", "since"])
async def test_a_list_hears_what_happens_after_it_was_rendered(
    user: Person, api: Api, name: str
) -> None:
    after = await position(user)
    ticket = await api.open("Before the stream")
    async with listening(user, f"/live?{name}={after}") as stream:
        row = await stream.until(f"t{ticket.id}")
        assert "Before the stream" in row.text
        assert int(row.id) > int(after)
        facts = json.loads((await stream.event("ticket")).data)
        assert (facts["id"], facts["status"]) == (ticket.id, "open")
        await api.move(ticket.id, "active")
        again = await stream.until(f"t{ticket.id}", "Active")
        assert int(again.id) > int(row.id)


async def test_the_counts_of_a_list_follow(user: Person, api: Api) -> None:
    ticket = await api.open("Counted")
    async with listening(user, f"/live?after={await position(user)}") as stream:
        await api.move(ticket.id, "active")
        counts = await stream.until("count-active")
        assert not counts.fills("count-closed")


async def test_a_list_that_comes_back_gets_each_ticket_as_it_is_now(user: Person, api: Api) -> None:
    ticket = await api.open("Comes back")
    async with listening(user, f"/live?after={await position(user)}") as stream:
        await api.say(ticket.id, "one")
        last = await stream.until(f"t{ticket.id}", "1 message")
    await api.say(ticket.id, "two")
    await api.say(ticket.id, "three")
    async with listening(user, "/live?after=1", last.id) as stream:
        await stream.until(f"t{ticket.id}", "3 messages")


async def test_a_ticket_that_comes_back_gets_all_that_it_missed(user: Person, api: Api) -> None:
    ticket = await api.open("Comes back")
    path = f"/live?ticket={ticket.id}&after={await position(user)}"
    await api.say(ticket.id, "one")
    async with listening(user, path) as stream:
        last = await stream.until("thread", "one")
    await api.move(ticket.id, "active")
    await api.say(ticket.id, "two")
    async with listening(user, path, last.id) as stream:
        seen = await stream.until("thread", "two")
        assert "started work" in seen.text


async def test_a_ticket_hears_nothing_of_others(user: Person, api: Api) -> None:
    ticket, other = await api.open("Mine"), await api.open("Other")
    path = f"/live?ticket={ticket.id}&after={await position(user)}"
    async with listening(user, path) as stream:
        await api.say(other.id, "not for you")
        await api.say(ticket.id, "for you")
        heard = ""
        while "for you" not in heard.replace("not for you", ""):
            heard += (await stream.message()).text
        assert "not for you" not in heard


async def test_no_update_carries_the_key_of_a_form(user: Person, api: Api) -> None:
    """One update goes to many browsers: with a key in it, they would all count as one."""
    ticket = await api.open("For everybody")
    path = f"/live?ticket={ticket.id}&after={await position(user)}"
    async with listening(user, path) as stream:
        await api.say(ticket.id, "to all of you")
        update = await stream.until("thread", "to all of you")
    assert 'name="key"' not in update.data
    assert 'name="key"' in (await user.see(f"/tickets/{ticket.id}")).html


@pytest.mark.parametrize("after", ["", "0", "1", "nonsense", "-5", "9" * 30])
async def test_a_list_away_for_too_long_hears_that_it_may_be_stale(
    user: Person, after: str
) -> None:
    async with listening(user, f"/live?after={after}") as stream:
        assert (await stream.message()).event == "stale"


async def test_a_ticket_away_for_too_long_is_loaded_anew(user: Person, api: Api) -> None:
    ticket = await api.open("Away for a week")
    async with listening(user, f"/live?ticket={ticket.id}&after=1") as stream:
        assert "Away for a week" in (await stream.until("head")).text


async def test_a_page_that_is_current_is_told_so_and_nothing_else(user: Person, api: Api) -> None:
    ticket = await api.open("Quiet")
    path = f"/live?ticket={ticket.id}&after={await position(user)}"
    async with listening(user, path) as stream:
        message = await stream.message()
        assert message.fills("freshness")
        assert not message.fills("head")
        assert EVENT_ID.fullmatch(message.id)


@pytest.mark.parametrize("analysis", ["unclosed", "resolution", "active"])
async def test_a_report_follows_its_numbers(helpdesk: Person, api: Api, analysis: str) -> None:
    path = f"/live?report={analysis}&last=1&unit=hours&after={await position(helpdesk)}"
    async with listening(helpdesk, path) as stream:
        ticket = await api.open(f"Counted in {analysis}")
        await api.move(ticket.id, "active", "closed")
        await api.move((await api.open("Active")).id, "active")
        seen = await stream.until("numbers")
        assert not seen.fills("analysis")


async def test_a_report_is_sent_only_when_its_numbers_change(helpdesk: Person, api: Api) -> None:
    ticket = await api.open("Does not change what is active")
    async with listening(helpdesk, "/live?report=active&after=1") as stream:
        before = await stream.until("numbers")
        for n in range(3):
            await api.say(ticket.id, f"{n}")
        await api.move(ticket.id, "active")
        after = await stream.until("numbers")
        cells = re.compile("<td>.*?</td>")
        assert cells.findall(after.data) != cells.findall(before.data)


@pytest.mark.parametrize(
    ("question", "is_counted"),
    [
        ("unclosed&last=1&unit=hours&category=technical_it", True),
        ("unclosed&last=1&unit=hours&category=facility_management", False),
        ("active&category=technical_it", True),
        ("active&category=none", False),
        ("resolution&months=1&category=technical_it", True),
        ("resolution&since=2000-01&until=2000-02", False),
    ],
)
async def test_a_report_follows_only_what_it_was_asked(
    helpdesk: Person, api: Api, question: str, is_counted: bool
) -> None:
    path = f"/live?report={question}&after={await position(helpdesk)}"
    async with listening(helpdesk, path) as stream:
        await stream.message()
        await api.move((await api.open("Counted, or not")).id, "active", "closed")
        await api.move((await api.open("Active")).id, "active")
        # What nobody has looked at is sent once in any case.
        await stream.until("numbers")
        await api.move((await api.open("One more")).id, "active", "closed")
        await api.move((await api.open("One more")).id, "active")
        if is_counted:
            await stream.until("numbers")
            return
        with pytest.raises(TimeoutError):
            await stream.until("numbers", within_s=2)


async def test_reports_are_for_helpdesk(user: Person) -> None:
    assert (await user.see("/live?report=active")).status == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("ticket=0", 404),
        ("ticket=x", 404),
        (f"ticket={'9' * 17}", 404),
        ("report=none", 404),
        ("report=unclosed&last=x", 400),
        ("report=resolution&since=May", 400),
        ("report=active&category=lifts", 400),
    ],
)
async def test_there_is_no_stream_of_nothing(helpdesk: Person, query: str, status: int) -> None:
    assert (await helpdesk.see(f"/live?{query}")).status == status


async def test_a_lost_broker_is_said_and_made_up_for(
    people: MakePerson, serve: Serve, settings: Settings, api: Api
) -> None:
    ticket = await api.open("Said before")
    async with Cable(settings.amqp_url) as cable:
        server = await serve(amqp_url=cable.url)
        live = server.app[LIVE]
        await connected(live)
        path = f"/live?after={live.clock.position}"
        person = people("user", server)
        async with (
            listening(person, path) as stream,
            listening(person, f"{path}&ticket={ticket.id}") as page,
        ):
            await cable.cut()
            await stream.event("paused")
            await page.event("paused")
            async with listening(person, path) as late:
                assert (await late.message()).event == "paused"
            await api.say(ticket.id, "Said meanwhile")
            await cable.mend()
            await stream.event("stale", 10)
            await page.until("thread", "Said meanwhile", 10)


async def test_a_broker_that_takes_no_messages_is_said_and_made_up_for(
    people: MakePerson, serve: Serve, settings: Settings
) -> None:
    async with Cable(settings.amqp_url) as cable:
        server = await serve(amqp_url=cable.url)
        live = server.app[LIVE]
        await connected(live)
        person = people("user", server)
        async with listening(person, f"/live?after={live.clock.position}") as stream:
            cable.say(BLOCKED)
            await stream.event("paused")
            ready = await (await person.session.get("/health/ready")).json()
            assert (ready["status"], ready["missing"]) == ("degraded", ["broker"])
            assert "low on memory or on disk" in ready["reasons"]["broker"]
            cable.say(UNBLOCKED)
            await stream.event("stale", 10)


async def test_a_ticket_service_that_is_away_is_made_up_for(
    people: MakePerson,
    serve: Serve,
    settings: Settings,
    api: Api,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticket = await api.open("Loaded later")
    async with Cable(settings.ticket_api_url) as cable:
        server = await serve(ticket_api_url=cable.url)
        live = server.app[LIVE]
        await connected(live)
        path = f"/live?ticket={ticket.id}&after={live.clock.position}"
        async with listening(people("user", server), path) as stream:
            await cable.cut()
            await api.say(ticket.id, "Said meanwhile")
            while "is looked at again" not in caplog.text:
                await asyncio.sleep(0.01)
            await cable.mend()
            await stream.until("thread", "Said meanwhile", 10)


async def test_a_stop_ends_streams_at_once(user: Person, stack: Stack) -> None:
    after = await position(user)
    async with listening(user, f"/live?after={after}") as stream:
        assert await asyncio.to_thread(stack.stop, "web") == 0
        await stream.response.content.read()
    await asyncio.to_thread(stack.start, "web")


async def test_a_browser_that_goes_is_forgotten_at_once(people: MakePerson, serve: Serve) -> None:
    server = await serve()
    live = server.app[LIVE]
    async with listening(people("user", server), f"/live?after={live.clock.position}") as stream:
        await stream.message()
        assert live.streams.variants(LIST)
    async with asyncio.timeout(3):
        while live.streams.variants(LIST):
            await asyncio.sleep(0.01)


async def test_what_is_kept_is_bounded(serve: Serve) -> None:
    live = Live(Fragments((await serve()).app), EventClock(), keys_of("web"))
    start = live.clock.position
    for n in range(KEPT_TICKETS + 5):
        live.hear(make_ticket(n + 1))
    assert len(live._kept) == KEPT_TICKETS
    assert live._complete_since > start


async def test_an_older_state_never_follows_a_newer_one(serve: Serve) -> None:
    live = Live(Fragments((await serve()).app), EventClock(), keys_of("web"))
    live.hear(make_ticket(1, "Newer", 3))
    live.hear(make_ticket(1, "Older", 2))
    assert [change.ticket.version for change in live._kept.values()] == [3]


class CountingFragments(Fragments):
    rendered = 0

    def row(self, ticket: Ticket, variant: Variant) -> str:
        self.rendered += 1
        return super().row(ticket, variant)


async def test_a_row_is_rendered_once_for_each_variant_however_many_hear_it(
    people: MakePerson, serve: Serve
) -> None:
    server = await serve()
    live = server.app[LIVE]
    await connected(live)
    live._fragments = counting = CountingFragments(server.app)
    path = f"/live?after={live.clock.position}"
    user, helpdesk = people("user", server), people("helpdesk", server)
    async with AsyncExitStack() as exits:
        streams = [
            await exits.enter_async_context(listening(person, path))
            for person in [user] * 5 + [helpdesk] * 5
        ]
        ticket = make_ticket(10**9)
        live.hear(ticket)
        for stream in streams:
            await stream.until(f"t{ticket.id}")
        assert counting.rendered == 2


def test_no_text_can_end_its_message() -> None:
    text = message("one\r\n\r\nevent: stale\ndata: two\rthree")
    assert text == "data: one\ndata: \ndata: event: stale\ndata: data: two\ndata: three\n\n"


async def test_only_a_get_opens_a_stream(user: Person) -> None:
    assert (await user.ask("HEAD", "/live")).status == 405
