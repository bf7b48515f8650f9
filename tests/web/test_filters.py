"""How values look."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from contracts.vocabulary import Action, Category, CategorySource, Role, Status
from web import filters
from web.pages.report_views import month_bounds

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=29), "4 weeks ago"),
        (timedelta(days=61), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_age(ago: timedelta, words: str) -> None:
    assert filters.age(NOW - ago, NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(12, "12~secs"), (300, "5~mins"), (3_600, "1~hr 0~mins"), (187_200, "2~days 4~hrs")],
)
def test_a_duration_breaks_between_its_units_only(seconds: float, words: str) -> None:
    assert filters.duration(seconds) == words.replace("~", "\N{NO-BREAK SPACE}")


def test_every_word_of_the_vocabulary_has_its_own_label() -> None:
    for labels, members in (
        (filters.LABELS, (*Status, *Category, *Role)),
        (filters.SOURCES, CategorySource),
        (filters.DEEDS, Action),
    ):
        assert len({labels[member] for member in members}) == len(list(members)) == len(labels)


@given(st.text(), st.lists(st.text()))
def test_marked_text_is_the_text_and_safe(text: str, words: list[str]) -> None:
    spans = [(2, 4), (4, 5), (8, 200)]
    for marked in (filters.mark_spans(text, spans), filters.mark_words(text, words)):
        bare = marked.replace("<mark>", "").replace("</mark>", "")
        assert Markup(bare).unescape() == Markup(filters.escape(text)).unescape()
        assert "<" not in bare


def test_what_was_found_is_marked_where_it_is_shown() -> None:
    assert filters.mark_spans("A <Printer> prints", [(3, 8), (12, 17)]) == (
        "A &lt;<mark>Print</mark>er&gt; <mark>print</mark>s"
    )
    assert filters.mark_spans("A title that is c…", [(2, 7), (40, 45)]) == (
        "A <mark>title</mark> that is c…"
    )


@pytest.mark.parametrize(
    ("text", "words", "marked"),
    [
        ("The lift, the LIFT; lifts", ["lift"], "The [lift], the [LIFT]; lifts"),
        ("Wi-Fi and Fi", ["Fi", "Wi-Fi"], "[Wi-Fi] and [Fi]"),
        ("un più, piu", ["più"], "un [più], piu"),
        ("a.b <b>", ["b"], "a.[b] &lt;[b]&gt;"),
        ("rock & roll", ["amp", "roll"], "rock &amp; [roll]"),
        ("Hörsaal\nKälte", ["Kälte", "hörsaal"], "[Hörsaal]\n[Kälte]"),
        ("nothing", [], "nothing"),
        ("nothing", [""], "nothing"),
    ],
)
def test_deciding_words_are_marked_as_whole_words(text: str, words: list[str], marked: str) -> None:
    found = filters.mark_words(text, words)
    assert found.replace("<mark>", "[").replace("</mark>", "]") == marked


def test_a_score_has_its_word() -> None:
    assert [filters.likeness(score) for score in (0, 0.6, 1)] == [
        "somewhat alike",
        "much alike",
        "almost the same",
    ]


def test_a_month_is_a_campus_month() -> None:
    since, until = month_bounds("2026-03", "Europe/Rome")
    assert (since.astimezone(UTC), until.astimezone(UTC)) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 31, 22, tzinfo=UTC),
    )
    assert month_bounds("2026-12", "Europe/Rome")[1].year == 2027


@pytest.mark.parametrize(
    ("description", "title"),
    [
        ("One line\nand another", "One line"),
        ("\u200b\n \u2800\nThe first to be seen", "The first to be seen"),
        ("\u200b\n\u2800", "(no visible text)"),
        ("x" * 140, "x" * 140),
        ("x" * 141, "x" * 139 + "…"),
        ("x" * 138 + "🇮🇹" * 5, "x" * 138 + "…"),
        ("x" * 130 + "e\u0301" * 10, "x" * 130 + "e\u0301" * 4 + "…"),
        ("a" + "\u0301" * 5_000, "a" + "\u0301" * 138 + "…"),
    ],
)
def test_a_title_is_a_line_that_can_be_seen_of_whole_signs(description: str, title: str) -> None:
    assert filters.title(description) == title


def test_a_mark_takes_in_the_whole_of_a_sign() -> None:
    coder = "👩🏽\u200d💻"
    assert filters.mark_spans(f"a {coder} b", [(2, 3)]) == f"a <mark>{coder}</mark> b"
    assert filters.mark_words("cafe\u0301 x", ["cafe"]) == "<mark>cafe\u0301</mark> x"
