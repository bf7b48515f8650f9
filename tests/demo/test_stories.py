"""Stories are plausible, say the same for the same seed, and nothing the classifier learnt from."""

import json
import re
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import classifier_svc
from contracts.vocabulary import Action, Category
from demo import rhythm
from demo.stories import LANGUAGES, Story, stories

ZONE = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 5, 20, 15, 0, tzinfo=ZONE)


def said(story: Story) -> tuple[object, ...]:
    return (story.key, story.language, story.category, story.description)


def test_same_seed_says_the_same() -> None:
    assert stories(60, 7, NOW) == stories(60, 7, NOW)
    assert not {s.key for s in stories(60, 7, NOW)} & {s.key for s in stories(60, 8, NOW)}


def test_what_is_said_depends_neither_on_the_day_nor_on_how_many_there_are() -> None:
    first = {said(story) for story in stories(60, 7, NOW)}
    assert {said(story) for story in stories(60, 7, NOW + timedelta(days=40))} == first
    assert {said(story) for story in stories(90, 7, NOW)} > first


@pytest.mark.parametrize("now", [NOW, datetime(2026, 3, 29, 3, 10, tzinfo=ZONE)])
def test_times_are_in_order_and_in_the_last_two_years(now: datetime) -> None:
    for story in stories(500, 3, now):
        times = [story.opened_at, *(step.at for step in story.steps)]
        assert now - timedelta(days=731) < times[0]
        assert all(a.timestamp() < b.timestamp() for a, b in pairwise(times))
        assert times[-1] < now
        assert all(at.microsecond == 0 for at in times)


def test_steps_go_from_open_to_closed() -> None:
    for story in stories(500, 3, NOW):
        actions = [step.action for step in story.steps]
        moves = [action for action in actions if action is not Action.MESSAGE_SENT]
        assert moves in ([], [Action.ACTIVATED], [Action.ACTIVATED, Action.CLOSED])
        assert Action.CLOSED not in actions[:-1]


def test_every_language_and_category_is_there_and_every_gap_is_filled() -> None:
    told = stories(1_000, 3, NOW)
    assert {story.language for story in told} == set(LANGUAGES)
    assert {story.category for story in told} == set(Category)
    texts = [story.description for story in told]
    texts += [step.text for story in told for step in story.steps]
    assert not [text for text in texts if re.search(r"[{}]", text)]


def test_the_campus_rests_at_weekends_and_in_the_holidays() -> None:
    told = stories(2_000, 3, NOW)
    weekdays = Counter(story.opened_at.weekday() for story in told)
    months = Counter(story.opened_at.month for story in told)
    assert weekdays[0] > 3 * weekdays[5]
    assert months[10] > 3 * months[8]
    assert rhythm.season(date(2025, 12, 25)) is rhythm.season(date(2026, 1, 2))


def test_a_few_old_tickets_are_left_behind() -> None:
    old = [s for s in stories(2_000, 3, NOW) if s.opened_at < NOW - timedelta(days=60)]
    unclosed = [s for s in old if not s.steps or s.steps[-1].action is not Action.CLOSED]
    assert 0 < len(unclosed) < 0.02 * len(old)


def test_no_sentence_is_one_that_the_classifier_learnt_from_or_is_judged_by() -> None:
    known = set()
    for file in Path(classifier_svc.__file__).parent.glob("*/*.jsonl"):
        known |= {plain(json.loads(line)["text"]) for line in file.read_text().splitlines()}
    assert len(known) > 2_000
    assert not {plain(story.description) for story in stories(2_000, 3, NOW)} & known


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
