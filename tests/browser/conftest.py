"""A real browser at the running helpdesk; a trace and a screenshot are kept of what fails."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from tests.browser.firefox import Firefox, Person, run_firefox
from tests.conftest import Stack
from tests.web.conftest import Api
from web.browser import sign

RESULTS = Path(__file__).resolve().parent.parent.parent / "test-results"
# A page that answers 4xx or 5xx, or a server that a test has stopped, is no defect of a script.
EXPECTED_ERRORS = ("Failed to load resource", "htmx:error", "htmx:response:error", "htmx:sse:error")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class OpenPage(Protocol):
    async def __call__(self, role: str | None, path: str = "/tickets", **options: Any) -> Page: ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


_FAILED = pytest.StashKey[bool]()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        assert path, "no Chromium: run `make test`, which installs it"
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(
    request: pytest.FixtureRequest, browser: Browser, stack: Stack
) -> AsyncIterator[OpenPage]:
    """Return a maker of pages, each in a context (a person) of its own."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(e in message.text for e in EXPECTED_ERRORS):
            errors.append(message.text)

    async def make(role: str | None, path: str = "/tickets", **options: Any) -> Page:
        context = await browser.new_context(
            base_url=stack["WEB_URL"], **({"viewport": DESK} | options)
        )
        contexts.append(context)
        context.set_default_timeout(5_000)
        await context.tracing.start(screenshots=True, snapshots=True)
        if role:
            # As from the entry, before any page to which somebody may come back.
            kept = {"role": role, "browser": sign(stack["WEB_SECRET"], uuid4())}
            await context.add_cookies(
                [{"name": n, "value": v, "url": stack["WEB_URL"]} for n, v in kept.items()]
            )
        context.on("console", on_console)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = await context.new_page()
        await page.goto(path)
        return page

    yield make
    failed = request.node.stash.get(_FAILED, False) or bool(errors)
    for number, context in enumerate(contexts):
        if failed:
            name = RESULTS / f"{request.node.name.replace('/', '_')}-{number}"
            for page in context.pages:
                await page.screenshot(path=f"{name}.png", full_page=True)
            await context.tracing.stop(path=f"{name}.zip")
        await context.close()
    assert not errors, errors


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firefox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if not path:
        # deploy/local/install.sh installs it wherever the distribution has it.
        pytest.skip("Firefox is not installed")
    async with run_firefox(path, tmp_path_factory.mktemp("firefox")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def person(
    request: pytest.FixtureRequest, firefox: Firefox, stack: Stack
) -> AsyncIterator[Person]:
    """Return somebody who reads the pages in Firefox."""
    user = (await firefox.ask("browser.createUserContext"))["userContext"]
    person = Person(firefox, stack["WEB_URL"], user)
    yield person
    if request.node.stash.get(_FAILED, False):
        for number, tab in enumerate(person.tabs):
            await tab.screenshot(RESULTS / f"{request.node.name.replace('/', '_')}-{number}.png")
    await firefox.ask("browser.removeUserContext", userContext=user)


@pytest_asyncio.fixture(loop_scope="session")
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with AsyncExitStack() as exits:
        headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
        session = aiohttp.ClientSession(stack["TICKET_API_URL"], headers=headers)
        yield Api(await exits.enter_async_context(session))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One loop for all: the browser lives longer than a test.
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
