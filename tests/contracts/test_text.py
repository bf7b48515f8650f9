"""What a reader sees of a text is decided by Unicode's properties, in every script."""

import pytest

from contracts.fields import find_ticket_number
from contracts.rest import Ticket
from contracts.text import SIGN_MAX_CHARACTERS, cut, is_blank, title_span

UNSEEN = [
    *"\u200b\u2800\u3164\u202e\u00ad\u2060\ufeff\u034f\u115f\ufe0f\u0301",  # as people met them
    *"\u180e\u1160\uffa0\u17b4\u061c\u200e\u2066\u206a\ufff9\u20e3\u0903\u3000\u00a0\u2029",
    *"\U000e0041\U000e0101\U0001d173\U0001d159\U00013441\ufdd0\U000e0fff",
]
SEEN = [*"a.ا字क\u0600\u06dd\U0001f600\ue000\u0378", "e\u0301", "\u200bx", "\u2800.", "️1️⃣"]
SIGNS = {
    "a letter with marks": "e\u0323\u0301",
    "a flag": "🇮🇹",
    "a flag by tags": "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "a family": "👨🏽\u200d👩🏽\u200d👧🏽\u200d👦🏽",
    "a number in a key": "1️⃣",
    "Hangul in pieces": "\u1112\u1161\u11ab",
    "Devanagari": "क्षि",
    "Tamil": "நி",
    "the most marks of a letter": "a" + "\u0301" * (SIGN_MAX_CHARACTERS - 1),
}


def test_a_text_of_unseen_characters_is_blank_alone_and_together() -> None:
    for unseen in UNSEEN:
        assert is_blank(unseen), hex(ord(unseen))
        assert is_blank(f" {unseen}\n{unseen * 3}"), hex(ord(unseen))
    assert is_blank("".join(UNSEEN))
    assert is_blank("")


@pytest.mark.parametrize("text", SEEN, ids=ascii)
def test_a_text_with_something_to_see_is_none(text: str) -> None:
    assert not is_blank(text)
    assert not is_blank("\u200b" + text)


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_a_text_is_never_cut_inside_of_a_sign(sign: str) -> None:
    for before in ("", "a", "字", "🇩🇪", "e\u0301 "):
        text = before + sign * 5 + "b"
        ends = {len(before) + len(sign) * number for number in range(6)}
        ends |= {len(text)} | {len(before[:n]) for n in (0, 1) if before in ("a", "字")}
        for most in range(len(before), len(text) + 2):
            part = cut(text, most)
            assert text.startswith(part)
            assert len(part) in ends
            assert max(end for end in ends if end <= most) == len(part)


def test_an_endless_sign_is_cut_all_the_same() -> None:
    assert len(cut("a" + "\u0301" * 9_999, 139)) == 139
    assert len(cut("🇮🇹" * 5_000, 139)) == 138
    assert len(cut("👩\u200d" * 5_000, 139)) == 139


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("one\ntwo", "one"),
        ("\u200b\n\u2800 \n\u202etwo\nthree", "\u202etwo"),
        ("\u200b\n\u0301", ""),
        ("", ""),
    ],
)
def test_the_title_is_the_first_line_with_something_to_see(text: str, title: str) -> None:
    start, end = title_span(text)
    assert text[start:end] == title
    assert Ticket.model_construct(description=text).title == title


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("57", 57), ("#57", 57), (" # 57\n", 57), ("＃５７", 57), ("٥٧", 57), ("\u200e#57", 57)),
        *(("057", 57), ("0", None), ("#", None), ("", None), ("5 7", None), ("57a", None)),
        *(("-57", None), ("5.7", None), ("##57", None), ("½", None), ("9" * 20, None)),
    ],
)
def test_a_number_names_a_ticket(text: str, number: int | None) -> None:
    assert find_ticket_number(text) == number
