"""Web addresses in texts are links, and nothing else ever is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from tests.web.conftest import Api, Person
from web.filters import with_links
from web.links import LINKS_MAX, PIECE_MAX

OPENING = '<a href="{}" dir="ltr" rel="nofollow noopener noreferrer">'


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("See https://a.example/b.", "https://a.example/b"),
        ("See HTTP://A.example!", "HTTP://A.example"),
        ("(https://a.example/x_(y))", "https://a.example/x_(y)"),
        ("[here](https://a.example/b)", "https://a.example/b"),
        ("<https://a.example/b>", "https://a.example/b"),
        ("“https://a.example/b.”", "https://a.example/b"),
        ("„https://a.example/b“", "https://a.example/b"),
        ("«https://a.example»", "https://a.example"),
        ("'https://a.example/b'", "https://a.example/b"),
        ("`https://a.example/b`", "https://a.example/b"),
        ("**https://a.example/b**", "https://a.example/b"),
        ("link=https://a.example/b", "https://a.example/b"),
        (
            "https://a.example/?next=https://b.example/",
            "https://a.example/?next=https://b.example/",
        ),
        ("https://a.example/?a=1&b=2#c;", "https://a.example/?a=1&b=2#c"),
        ("https://a.example/b…", "https://a.example/b"),
        ("https://a.example/b?!", "https://a.example/b"),
        ("https://müller.example/ü", "https://müller.example/ü"),
        ("見て：https://例え.jp、次", "https://例え.jp"),
        ("https://a.example/b。次", "https://a.example/b"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("https://intranet/wiki\nnext", "https://intranet/wiki"),
        ("\u2068https://a.example\u2069.", "https://a.example"),
        ("https://a.example/\u202egpj.exe", "https://a.example/"),
        ("javascript:https://a.example/", "https://a.example/"),
    ],
)
def test_an_address_is_a_link_without_what_stands_around_it(text: str, address: str) -> None:
    link = Markup(OPENING + "{}</a>").format(address, address)
    before, _, after = text.partition(address)
    assert with_links(text) == escape(before) + link + escape(after)


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "JaVaScRiPt://a.example/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        *("file:///etc/passwd", "ftp://a.example/", "mailto:a@b.example", "a@b.example"),
        *("www.a.example", "a.example", "//a.example/", "https://", "http:///x", "https:a.example"),
        "https://user:word@a.example/",
        "https://bank.example@evil.example/",
        r"https://bank.example\@evil.example/",
        "https://bank.exam\u200bple/",
        "https://bank.example\u202e.evil.example/",
        "https://bank.example\u2069.evil.example/",
    ],
)
def test_nothing_else_is_a_link(text: str) -> None:
    assert with_links(text) == escape(text)


def test_words_are_marked_inside_of_addresses_too() -> None:
    marked = with_links("printer: https://printer.example/<b>", ["printer"])
    address = "https://printer.example/"
    assert marked == Markup(
        "<mark>printer</mark>: {}https://<mark>printer</mark>.example/</a>{}"
    ).format(Markup(OPENING).format(address), "<b>")


PIECES = [
    "https://a.example/",
    "http://",
    "b",
    " ",
    "<",
    '"',
    "(",
    ")",
    "&",
    "\u202e",
    "é",
    "@",
    ".",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join))
def test_a_text_with_links_is_the_text_and_safe(text: str) -> None:
    html = with_links(text, ["b"])
    bare = re.sub(r'<a href="https?://[^"<> ]+" dir="ltr" rel="[a-z ]+">|</a>|</?mark>', "", html)
    assert bare == escape(text)


def test_a_text_of_nothing_but_addresses_has_so_many_links() -> None:
    assert with_links("https://a.example/bc " * 400).count("<a ") == LINKS_MAX


def test_an_address_is_found_beside_a_piece_that_is_longer_than_any_address() -> None:
    piece = "http://a.example/*" * (PIECE_MAX // 10)
    html = with_links(f"{piece} https://a.example/b {piece}")
    assert html.count("<a ") == 1
    assert OPENING.format("https://a.example/b") in html


async def test_description_messages_and_earlier_texts_have_links(user: Person, api: Api) -> None:
    ticket = await api.open("Look at https://a.example/first please")
    await api.edit(ticket, description="Look at https://a.example/second please")
    await api.say(ticket.id, "Or at https://a.example/third, then.")
    html = re.sub("</?mark>", "", (await user.see(f"/tickets/{ticket.id}")).html)
    for place, address in [
        ('<p id="description"', "https://a.example/second"),
        ('<ol id="thread"', "https://a.example/third"),
        ('<details id="history"', "https://a.example/first"),
    ]:
        link = re.search(r"<a href[^>]*nofollow[^>]*>[^<]*</a>", html.split(place)[1])
        assert link
        assert link[0] == OPENING.format(address) + address + "</a>"
