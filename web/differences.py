"""Which words two versions of a text do not share.

Takes texts and returns HTML; knows no page. difflib's matcher is not used: for two texts that were
made for it, it takes ten seconds of everybody's time.
"""

import re
from bisect import bisect
from itertools import groupby, pairwise

import regex
from markupsafe import Markup, escape

from contracts.text import SIGN

# What stands between words is compared too, so that a text comes out as it was. No part ends within
# what a reader sees as one sign.
_PARTS = regex.compile(rf"(?:(?=\w){SIGN})+|\s+|{SIGN}")
# Each round goes through all parts that are left once. What is not told apart by then counts as
# changed; texts that people write need two or three.
ROUNDS = 5
_BETWEEN = re.compile(r"</mark>(\s+)<mark>")


def mark_changes(before: str, after: str) -> Markup:
    """Return `after` with what is not in `before`, at its place, in `<mark>`."""
    old, new = _PARTS.findall(before.replace("\r\n", "\n")), _PARTS.findall(after)
    kept = _find_kept(old, new)
    html = Markup("").join(
        escape(text) if is_kept or not text.strip() else Markup("<mark>{}</mark>").format(text)
        for is_kept, text in (
            (is_kept, "".join(part for part, _ in parts))
            for is_kept, parts in groupby(zip(new, kept, strict=True), key=lambda one: one[1])
        )
    )
    # Words that follow each other are one change, though the space between them is the same.
    return Markup(_BETWEEN.sub(r"\1", html))  # noqa: S704 (escaped above)


def _find_kept(old: list[str], new: list[str]) -> list[bool]:
    """Return for each new part whether it is an old one, in the old order (a patience diff).

    Parts that both have once hold on to each other; between two of them the same is done again.
    """
    kept = [False] * len(new)
    gaps = [(0, len(old), 0, len(new), ROUNDS)]
    while gaps:
        first, last, start, end, rounds = gaps.pop()
        while first < last and start < end and old[first] == new[start]:
            kept[start] = True
            first, start = first + 1, start + 1
        while first < last and start < end and old[last - 1] == new[end - 1]:
            last, end = last - 1, end - 1
            kept[end] = True
        if first == last or start == end or not rounds:
            continue
        held = _longest_rise(_pair_singles(old, first, last, new, start, end))
        if not held:
            continue
        for _, j in held:
            kept[j] = True
        for (i, j), (next_i, next_j) in pairwise([(first - 1, start - 1), *held, (last, end)]):
            gaps.append((i + 1, next_i, j + 1, next_j, rounds - 1))
    return kept


def _pair_singles(
    old: list[str], first: int, last: int, new: list[str], start: int, end: int
) -> list[tuple[int, int]]:
    """Return where the parts stand that both pieces have exactly once, in the order of the new."""
    places = _singles(old, first, last)
    others = _singles(new, start, end)
    return [(places[part], j) for part, j in others.items() if part in places]


def _singles(parts: list[str], start: int, end: int) -> dict[str, int]:
    found: dict[str, int] = {}
    again = set()
    for place in range(start, end):
        if parts[place] in found:
            again.add(parts[place])
        found[parts[place]] = place
    return {part: place for part, place in found.items() if part not in again}


def _longest_rise(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of pairs whose old places rise too (patience sorting)."""
    tops: list[int] = []
    ends: list[int] = []  # by length of run, the pair on which the best one ends
    before: list[int] = []
    for number, (place, _) in enumerate(pairs):
        length = bisect(tops, place)
        before.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [place]
        ends[length : length + 1] = [number]
    run = []
    number = ends[-1] if ends else -1
    while number >= 0:
        run.append(pairs[number])
        number = before[number]
    return run[::-1]
