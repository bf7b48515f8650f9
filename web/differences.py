"""Which words two versions of a text do not share.

Takes texts and returns HTML; knows no page.
"""

import re
from difflib import SequenceMatcher

import regex
from markupsafe import Markup, escape

from contracts.text import SIGN

# What stands between words is compared too, so that a text comes out as it was. No part ends within
# what a reader sees as one sign.
_PARTS = regex.compile(rf"(?:(?=\w){SIGN})+|\s+|{SIGN}")
# Texts with more parts are compared by lines: words would cost a second of everybody's time.
PARTS_MAX = 3_000
_BETWEEN = re.compile(r"</mark>(\s+)<mark>")
_LINES = re.compile(r"[^\n]*\n?")


def mark_changes(before: str, after: str) -> Markup:
    """Return `after` with what is not in `before`, at its place, in `<mark>`."""
    old, new = _split(before.replace("\r\n", "\n"), after)
    matcher = SequenceMatcher(None, old, new)
    html = Markup("").join(
        _mark("".join(new[start:end])) if how in ("insert", "replace") else "".join(new[start:end])
        for how, _, _, start, end in matcher.get_opcodes()
    )
    # Words that follow each other are one change, though the space between them is the same.
    return Markup(_BETWEEN.sub(r"\1", html))  # noqa: S704 (escaped above)


def _split(*texts: str) -> list[list[str]]:
    parts = [_PARTS.findall(text) for text in texts]
    if max(map(len, parts)) > PARTS_MAX:
        return [_LINES.findall(text) for text in texts]
    return parts


def _mark(text: str) -> Markup:
    return Markup("<mark>{}</mark>").format(text) if text.strip() else escape(text)
