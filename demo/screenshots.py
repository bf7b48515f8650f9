"""`make screenshots`: the pictures in `docs/`, taken of a helpdesk full of demo tickets.

Only for a throwaway stack: it adds tickets that are new at the moment of the picture.
"""

import asyncio
import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from PIL import Image
from playwright.async_api import Browser, async_playwright, expect

from contracts.vocabulary import Role

DOCS = Path(__file__).resolve().parent.parent / "docs"
TICKETS = 1_200
# Enough for a page, and a quarter of the bytes.
COLOURS = 128
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
# What is being worked on today, oldest first: description, status, and messages by turns of
# helpdesk and user.
TODAY: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Radiator in the reading room hisses and stays cold", "active", ("A plumber comes today.",)),
    ("I was charged twice for the printing credit", "open", ()),
    ("La serratura dell'aula B1.12 non si apre con il badge", "active", ()),
    ("Eduroam drops every few minutes on the second floor of building D", "active", ()),
    ("Der Aufzug in Gebäude C steckt zwischen zwei Etagen fest", "open", ()),
    (
        "The projector in room B204 shows no picture\nIt hums and the lamp is on, but the screen "
        "stays dark. We tried two laptops and both cables.\n\nThe lecture at 14:00 needs it.",
        "active",
        (
            "Thank you. Does the small light at its back blink red or green?",
            "Red, three times, then a pause.",
            "That is the filter. A colleague comes before 13:00 and brings a spare projector.",
        ),
    ),
    ("No soap in the washrooms of the canteen", "open", ()),
    ("Le distributeur du hall A garde la monnaie", "open", ()),
)
TYPED = "The lift in building C stands still between two floors"


@dataclass(frozen=True)
class Shot:
    """A picture: what it shows, to whom, and on what screen."""

    name: str
    role: Role | None
    path: str
    screen: dict[str, int]
    scheme: str = "light"
    typed: str = ""


def main() -> int:
    """Take the pictures; return the exit status."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is missing: run `make screenshots`.", file=sys.stderr)
        return 1
    subprocess.run([sys.executable, "-m", "demo", "--tickets", str(TICKETS)], check=True)  # noqa: S603
    asyncio.run(_take_all(chromium))
    return 0


async def _take_all(chromium: str) -> None:
    ticket_id = await _report_today()
    shots = (
        Shot("entry", None, "/", DESK),
        Shot("list", Role.HELPDESK, "/tickets", DESK),
        Shot("list-dark", Role.HELPDESK, "/tickets", DESK, scheme="dark"),
        Shot("ticket", Role.HELPDESK, f"/tickets/{ticket_id}", DESK),
        Shot("report", Role.HELPDESK, "/analytics/resolution", DESK),
        Shot("unclosed", Role.HELPDESK, "/analytics/unclosed?last=30&unit=days", DESK),
        Shot("phone", Role.USER, "/tickets", PHONE, typed=TYPED),
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--font-render-hinting=none"]
        )
        for shot in shots:
            await _take(browser, shot)
        await browser.close()


async def _report_today() -> int:
    """Report what is being worked on today; return the ticket with most messages."""
    headers = {"Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}"}
    longest = (0, 0)
    async with aiohttp.ClientSession(
        os.environ["TICKET_API_URL"], headers=headers, raise_for_status=True
    ) as session:
        for description, status, messages in TODAY:
            async with session.post(
                "/v1/tickets", json={"description": description}, headers={"X-Role": Role.USER}
            ) as answer:
                ticket_id = (await answer.json())["id"]
            if status == "active":
                await session.put(
                    f"/v1/tickets/{ticket_id}/status",
                    json={"status": status},
                    headers={"X-Role": Role.HELPDESK},
                )
            for turn, body in enumerate(messages):
                await session.post(
                    f"/v1/tickets/{ticket_id}/messages",
                    json={"body": body},
                    headers={"X-Role": Role.USER if turn % 2 else Role.HELPDESK},
                )
            longest = max(longest, (len(messages), ticket_id))
    return longest[1]


async def _take(browser: Browser, shot: Shot) -> None:
    url = os.environ["WEB_URL"]
    context = await browser.new_context(
        base_url=url,
        viewport={"width": shot.screen["width"], "height": shot.screen["height"]},
        color_scheme="dark" if shot.scheme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
    )
    if shot.role:
        await context.add_cookies([{"name": "role", "value": shot.role, "url": url}])
    page = await context.new_page()
    await page.goto(shot.path)
    # The categories of today's tickets, and similar ones, come by themselves.
    await expect(page.locator("#rows .none, #head .none, #similar[hx-get]")).to_have_count(0)
    if shot.typed:
        await page.get_by_label("Describe the problem").fill(shot.typed)
        await page.locator("#hints > *").first.wait_for()
    picture = Image.open(io.BytesIO(await page.screenshot()))
    picture.convert("RGB").quantize(COLOURS).save(DOCS / f"{shot.name}.png", optimize=True)
    await context.close()


if __name__ == "__main__":
    sys.exit(main())
