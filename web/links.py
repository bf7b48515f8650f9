"""Where a text has web addresses that may become links: `http` and `https`, and never another kind.

linkify-it finds them: with their balanced brackets, without the punctuation that follows, and with
letters of any script. Jinja's `urlize` looks at whole words between spaces only, makes a dead link
of `HTTP://`, and leaves out an address in quotation marks. Takes texts; knows no page.
"""

from collections.abc import Iterator
from functools import lru_cache

import regex
from linkify_it import LinkifyIt

_FINDER = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
for _other in ("mailto:", "ftp:", "//"):
    _FINDER.add(_other, None)
# Few texts have more addresses than that.
LINKS_MAX = 100
# The finder's time grows with the square of what stands without a space: 10 000 signs in one piece
# took 0.15 s, and in pieces of this length 0.02 s at most. No address that people paste is longer.
PIECE_MAX = 1_000
# A page that is shown again, or to many, finds the same addresses in the same texts.
TEXTS_KEPT = 512
# An address is over before these: what nobody sees or what turns its direction, quotation marks,
# and the punctuation of scripts that write no space after it.
_UNSEEN = r"\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cf}"
_END = rf"[{_UNSEEN}\p{{Pi}}\p{{Pf}}‚„…`\\\u3000-\u303f\uff00-\uff20\uff3b-\uff3d]"
# What stands before an address without a space, such as "link=", is none of it.
_BEFORE = r"(?<!\S)[^\s:/]{0,20}[\p{S}_](?=(?i:https?)://)"
_BESIDE = regex.compile(f"{_END}|{_BEFORE}")
_LONG_PIECE = regex.compile(rf"(?<!\S)\S{{{PIECE_MAX + 1},}}")
_GOES_ON_UNSEEN = regex.compile(rf"[{_UNSEEN}\\]+[.:@-]?\w")
_WRAPPERS = "*_~|"
_PUNCTUATION = ".,;:!?"
# Only a host, without a path: what comes behind could belong to its name.
_HOST = regex.compile(r"[^/]+//[^/?#]*")


@lru_cache(TEXTS_KEPT)
def find_addresses(text: str) -> tuple[tuple[int, int], ...]:
    """Return where the addresses stand, from and up to but not with, in their order."""
    return tuple(_find(text)) if "://" in text else ()


def _find(text: str) -> Iterator[tuple[int, int]]:
    plain = _LONG_PIECE.sub(_blank, _BESIDE.sub(_blank, text))
    for found in (_FINDER.match(plain) or ())[:LINKS_MAX]:
        start, end = found.index, found.last_index
        host = _HOST.match(text, start, end)
        # Whoever reads a@b, or a name with something unseen in it, takes it for another place.
        if host is None or "@" in host[0]:
            continue
        if host.end() == end and _GOES_ON_UNSEEN.match(text, end):
            continue
        if start and text[start - 1] in _WRAPPERS:
            end = start + len(text[start:end].rstrip(text[start - 1]))
        yield start, start + len(text[start:end].rstrip(_PUNCTUATION))


def _blank(found: regex.Match[str]) -> str:
    return " " * len(found[0])
