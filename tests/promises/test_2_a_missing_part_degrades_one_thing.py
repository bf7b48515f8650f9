"""Promise 2: a missing part degrades one thing; the rest works, and it heals by itself."""

import signal

from tests.cable import Cable
from tests.conftest import Stack
from tests.promises.person import eventually, person, program


async def test_without_the_classifier_a_ticket_is_saved_and_gets_its_category_later(
    own_stack: Stack,
) -> None:
    own_stack.stop("classifier_svc", signal.SIGKILL)
    async with person(own_stack, "user") as user:
        page = await user.report("The Wi-Fi in the library drops every minute")
        assert page.status == 200
        assert "category follows" in page.plain
        own_stack.start("classifier_svc")

        async def categorised() -> bool:
            return "Technical" in (await user.get(page.address)).plain

        await eventually(categorised)


async def test_without_the_reports_their_page_says_so_and_tickets_work(own_stack: Stack) -> None:
    own_stack.stop("analytics_svc", signal.SIGKILL)
    async with person(own_stack, "helpdesk") as helpdesk:
        page = await helpdesk.get("/analytics/active")
        assert page.status == 503
        assert "does not answer" in page.plain
        assert (await helpdesk.report("The lift is stuck")).status == 200
        own_stack.start("analytics_svc")
        assert (await helpdesk.get("/analytics/active")).status == 200


async def test_without_the_broker_tickets_messages_and_steps_work_and_events_follow(
    cabled_stack: tuple[Stack, dict[str, Cable]],
) -> None:
    stack, cables = cabled_stack
    await cables["broker"].cut()
    async with person(stack, "helpdesk") as helpdesk, program(stack) as api:
        page = await helpdesk.report("Water drips from the ceiling of the gym")
        assert page.status == 200
        assert (await helpdesk.send_message(page.address, "We come today")).status == 200
        moved = await helpdesk.post(f"{page.address}/status", status="active")
        assert moved.status == 200
        ticket = (await api.get("/tickets"))["items"][0]
        assert (ticket["status"], ticket["messages"], ticket["category"]) == ("active", 1, None)
        await cables["broker"].mend()

        async def caught_up() -> bool:
            tickets = (await api.get("/tickets"))["items"]
            return bool(tickets[0]["category"] == "facility_management")

        await eventually(caught_up, 30)

        async def reported() -> bool:
            page = await helpdesk.get("/analytics/active")
            return page.status == 200 and "n = 1" in page.plain

        await eventually(reported, 30)


async def test_without_the_database_the_page_says_so_and_keeps_the_typed_text(
    cabled_stack: tuple[Stack, dict[str, Cable]],
) -> None:
    stack, cables = cabled_stack
    text = "The heating in <room 4> is broken & it is cold"
    async with person(stack, "user") as user:
        form = (await user.get("/tickets")).hidden("/tickets")
        await cables["database"].cut()
        page = await user.post("/tickets", text=text, **form)
        assert page.status == 503
        assert text in page.plain
        assert "&lt;room 4&gt;" in page.text
        assert (await user.get("/tickets")).status == 503
        await cables["database"].mend()

        async def back() -> bool:
            return (await user.get("/tickets")).status == 200

        await eventually(back, 30)
        # Sending what the page kept, with the key that it kept, makes the ticket, once.
        for _ in range(2):
            sent = await user.post("/tickets", text=text, **page.hidden("/tickets"))
            assert sent.status == 200
        assert text in sent.plain
    async with program(stack) as api:
        assert len(await api.every_ticket()) == 1
