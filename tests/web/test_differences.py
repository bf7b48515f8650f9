"""What is marked in a text is what the other one does not have at its place."""

import random
import re
import string

import pytest

from web.differences import mark_changes


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("The lift is stuck", "The lift is stuck", []),
        ("The lift is stuck", "The old lift is stuck!", ["old ", "!"]),
        ("The lift in B", "The lift in building C", ["building C"]),
        ("Two\r\nlines", "Two\nlines", []),
        ("", "New", ["New"]),
        ("Old", "", []),
        ("a <b>", "a <i>", ["i"]),
        ("水が出ない", "水が出る", ["水が出る"]),
        ("It works 👩🏽\u200d💻", "It works 👩🏿\u200d💻", ["👩🏿\u200d💻"]),
        ("🇮🇹🇩🇪", "🇮🇹🇩🇰", ["🇩🇰"]),
        ("cafe", "cafe\u0301", ["cafe\u0301"]),
    ],
)
def test_words_that_are_new_are_marked(before: str, after: str, marked: list[str]) -> None:
    html = mark_changes(before, after)
    found = re.findall(r"<mark>(.*?)</mark>", html)
    assert [m.strip() for m in found] == [m.strip() for m in marked]
    assert "<b>" not in html
    assert html.unescape().replace("<mark>", "").replace("</mark>", "") == after


@pytest.mark.timeout(20)
def test_the_longest_texts_are_compared_too() -> None:
    chance = random.Random(7)
    before, after = (
        "".join(chance.choice(string.ascii_lowercase[:4] + " \n") for _ in range(10_000))
        for _ in range(2)
    )
    assert mark_changes(before, after)
