"""What a first visit costs, and that it costs it only once."""

import gzip
import re

import aiohttp

from tests.conftest import Stack
from tests.web.conftest import Api, Person

FIRST_VISIT_MAX_BYTES = 60_000
ASSET = re.compile(r'(?:src|href)="(/static/[^"]+)"')


async def test_the_first_visit_of_the_list_is_light(stack: Stack, api: Api) -> None:
    for n in range(50):
        await api.open(f"A problem in room {n}: " + "the heating does not work again " * 3)
    async with aiohttp.ClientSession(
        stack["WEB_URL"],
        auto_decompress=False,
        headers={"Accept-Encoding": "gzip", "Cookie": "role=user"},
    ) as browser:
        async with browser.get("/tickets") as response:
            body = await response.read()
        html = gzip.decompress(body).decode()
        assert html.count('<li class="row"') == 50
        addresses = ASSET.findall(html)
        assert len(addresses) == 3
        for address in addresses:
            async with browser.get(address) as response:
                assert response.headers["Cache-Control"].endswith("max-age=31536000, immutable")
                assert response.headers["Content-Encoding"] == "gzip"
                body += await response.read()
    assert len(body) < FIRST_VISIT_MAX_BYTES, f"{len(body)} bytes"


async def test_files_are_served_plain_too(user: Person) -> None:
    for address in ASSET.findall((await user.see("/")).html):
        packed, plain = [
            await user.see(address, headers={"Accept-Encoding": coding})
            for coding in ("gzip", "identity")
        ]
        assert "Content-Encoding" not in plain.headers
        assert packed.html == plain.html
