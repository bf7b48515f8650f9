"""What is marked in a text is what the other one does not have at its place."""

import random
import re
import time

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


def signs(count: int) -> list[str]:
    return [chr(0x2200 + n) for n in range(count)]


def interleaved(count: int, between: str) -> tuple[str, str]:
    """Return two texts for which a matcher that looks for the longest piece needs cubic time."""
    few = signs(97)
    mine = [few[n % 97] for n in range(count)]
    theirs = [few[k] for n in range(count // 2) for k in (n % 97, (n + 48 + n // 97) % 97)]
    return between.join(mine), between.join(theirs)


def shuffled(between: str, seed: int = 7) -> tuple[str, str]:
    parts = signs(5_000)
    return between.join(parts), between.join(random.Random(seed).sample(parts, len(parts)))


def of_few_letters(seed: int = 7) -> tuple[str, str]:
    chance = random.Random(seed)
    one, other = ("".join(chance.choices("abcd \n", k=10_000)) for _ in range(2))
    return one, other


@pytest.mark.parametrize(
    ("before", "after"),
    [
        interleaved(2_990, ""),
        interleaved(4_990, "\n"),
        shuffled(""),
        shuffled("\n"),
        of_few_letters(),
        ("".join(signs(5_000) * 2), "".join([*signs(5_000)[::-1], *signs(5_000)])),
    ],
    ids=["words", "lines", "shuffled", "shuffled lines", "few letters", "each twice"],
)
def test_no_two_texts_take_long_to_compare(before: str, after: str) -> None:
    started = time.thread_time()
    html = mark_changes(before, after)
    assert time.thread_time() - started < 0.5  # 0.01 s; it was 0.2 to 9
    assert html.unescape().replace("<mark>", "").replace("</mark>", "") == after
