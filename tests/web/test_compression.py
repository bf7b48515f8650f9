"""What a browser takes is what it gets, and it is the same whatever the coding."""

import gzip
import re

import aiohttp
import brotli
import pytest

from tests.conftest import Stack
from web.compression import Coding, choose_coding

ASSET = re.compile(r'(?:src|href)="(/static/[^"]+)"')
UNPACK = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate, br, zstd", Coding.BROTLI),
        ("gzip, deflate", Coding.GZIP),
        ("GZIP", Coding.GZIP),
        ("br;q=0, gzip", Coding.GZIP),
        ("br; q=0.000 , gzip ;q=0", Coding.PLAIN),
        ("br;q=0.5, gzip;q=0.8", Coding.GZIP),
        ("*", Coding.BROTLI),
        ("br;q=0, *", Coding.GZIP),
        ("*;q=0", Coding.PLAIN),
        ("identity, gzip;q=0.5", Coding.PLAIN),
        ("identity;q=0.5, br", Coding.BROTLI),
        ("identity;q=0", Coding.PLAIN),
        ("deflate", Coding.PLAIN),
        ("", Coding.PLAIN),
        ("br;q=much, gzip;q=", Coding.PLAIN),
        (",;,br;;q=1", Coding.BROTLI),
        ("xbr, gzipped", Coding.PLAIN),
    ],
)
def test_the_coding_is_the_one_that_the_browser_likes_best(header: str, coding: Coding) -> None:
    assert choose_coding(header) is coding


async def test_every_file_is_the_same_in_each_coding_and_kept_for_a_year(stack: Stack) -> None:
    async with aiohttp.ClientSession(stack["WEB_URL"], auto_decompress=False) as browser:
        async with browser.get("/tickets", headers={"Cookie": "role=user"}) as response:
            addresses = ASSET.findall(brotli.decompress(await response.read()).decode())
        assert len(addresses) == 3
        for address in addresses:
            contents = set()
            for coding, unpack in UNPACK.items():
                async with browser.get(address, headers={"Accept-Encoding": coding}) as response:
                    assert (
                        response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                    )
                    assert response.headers["Vary"] == "Accept-Encoding"
                    assert response.headers.get("Content-Encoding", "identity") == coding
                    contents.add(unpack(await response.read()))
            assert len(contents) == 1


async def test_a_page_is_readable_in_each_coding(stack: Stack) -> None:
    async with aiohttp.ClientSession(stack["WEB_URL"], auto_decompress=False) as browser:
        for coding, unpack in UNPACK.items():
            async with browser.get("/", headers={"Accept-Encoding": coding}) as response:
                assert response.headers.get("Content-Encoding", "identity") == coding
                assert "Accept-Encoding" in response.headers["Vary"]
                assert "Enter as helpdesk" in unpack(await response.read()).decode()
