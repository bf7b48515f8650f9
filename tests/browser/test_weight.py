"""Light: what a visit moves over the wire, measured where it arrives; headers do not count.

The budget is the design's (issue 5): a helpdesk may be opened on a train.
"""

from datetime import UTC, datetime
from uuid import uuid4

from playwright.async_api import Page, Request, expect

from demo.stories import stories
from tests.browser.conftest import OpenPage
from tests.web.conftest import Api
from web.pages.tickets_page import PAGE_ROWS

ENTRY_MAX_BYTES = 8_000
# htmx takes 12.0 kB of it, our own script 2.5 kB.
FIRST_VISIT_MAX_BYTES = 24_000
LATER_MAX_BYTES = 6_000
# The open stream of what is new is not among them: it ends when the page is left.
REQUESTS_MAX = 5


async def moved(page: Page, path: str) -> tuple[int, int]:
    """Open an address and return how many bytes came, in how many answers."""
    finished: list[Request] = []

    def keep(request: Request) -> None:
        finished.append(request)

    page.on("requestfinished", keep)
    await page.goto(path, wait_until="load")
    # Similar tickets are asked for once the page is there.
    await expect(page.locator("#similar[hx-get]")).to_have_count(0)
    page.remove_listener("requestfinished", keep)
    sizes = [await request.sizes() for request in finished if "/live" not in request.url]
    # What the browser has kept counts as less than nothing.
    return sum(max(0, size["responseBodySize"]) for size in sizes), len(sizes)


async def work_of_a_day(api: Api) -> int:
    """Report a list of plausible problems, some of which are being worked on; return the last."""
    last = 0
    for number, story in enumerate(stories(PAGE_ROWS + 5, 3, datetime.now(UTC))):
        ticket = await api.open(story.description, category=story.category.value)
        if number % 2:
            await api.move(ticket.id, "active")
        for _ in range(number % 3):
            await api.say(ticket.id, f"Is somebody coming? {uuid4()}")
        last = ticket.id
    for number in range(6):
        await api.say(last, f"A colleague comes at {number + 9}:00 and brings what is needed.")
    return last


async def test_every_page_is_light_on_the_first_visit_and_lighter_later(
    open_page: OpenPage, api: Api
) -> None:
    ticket_id = await work_of_a_day(api)
    costs = {"/": (await moved(await open_page(None, "about:blank"), "/"), ENTRY_MAX_BYTES)}
    for role, path in [
        ("user", "/tickets"),
        ("helpdesk", "/tickets"),
        ("helpdesk", "/tickets?status=all&q=the"),
        ("user", f"/tickets/{ticket_id}"),
        ("helpdesk", f"/tickets/{ticket_id}"),
        ("helpdesk", "/analytics"),
        ("helpdesk", "/analytics/unclosed?last=48&unit=hours"),
        ("helpdesk", "/analytics/resolution"),
        ("helpdesk", "/analytics/active"),
        ("helpdesk", "/analytics/all?last=48&unit=hours"),
        ("helpdesk", "/classifier?text=The+lift+is+stuck"),
    ]:
        page = await open_page(role, "about:blank")
        costs[f"{role} {path}"] = await moved(page, path), FIRST_VISIT_MAX_BYTES
        if path == "/tickets":
            assert await page.locator("#rows li").count() == PAGE_ROWS
        # Later: after the list, or after a ticket where this is the list.
        page = await open_page(role, "about:blank")
        await moved(page, f"/tickets/{ticket_id}" if path.startswith("/tickets?") else "/tickets")
        costs[f"{role} {path} later"] = await moved(page, path), LATER_MAX_BYTES
    print(*(f"{size:6} {n} {name}" for name, ((size, n), _) in costs.items()), sep="\n")
    assert not [
        (name, size, requests)
        for name, ((size, requests), budget) in costs.items()
        if size > budget or requests > REQUESTS_MAX
    ]
