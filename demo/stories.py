"""Makes up tickets: who wrote what, in which language, and what became of it.

What a story says depends on seed and index alone, so that a second run writes the same; its times
depend on the day of the run too.
"""

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID, uuid5

from contracts.vocabulary import Action, Category, Role
from demo import rhythm

LANGUAGES = {"it": 40, "en": 33, "de": 10, "es": 9, "fr": 8}
CATEGORIES = {
    Category.TECHNICAL_IT: 42,
    Category.FACILITY_MANAGEMENT: 33,
    Category.SERVICES_COMPLAINTS: 25,
}
# Left behind: never begun, or begun and never ended.
FORGOTTEN_SHARE = 0.003
NAMESPACE = UUID("5b0f8f0e-3c53-4f0f-9d5c-7b1a1b6f2a51")

Texts = dict[str, list[str]]


@dataclass(frozen=True)
class Step:
    """What somebody did with a ticket; `text` is a message."""

    at: datetime
    role: Role
    action: Action
    text: str = ""


@dataclass(frozen=True)
class Story:
    """One ticket's life so far; `category` is the right one, whatever the classifier says."""

    key: UUID
    language: str
    category: Category
    description: str
    opened_at: datetime
    steps: tuple[Step, ...]


def stories(count: int, seed: int, now: datetime) -> list[Story]:
    """Return the stories, oldest first; the first ones of more stories are the same."""
    made = (_story(index, seed, now) for index in range(count))
    return sorted(made, key=lambda story: story.opened_at)


@cache
def _texts(language: str) -> Texts:
    file = Path(__file__).parent / "texts" / f"{language}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _one_of(chance: random.Random, shares: dict[str, int]) -> str:
    return chance.choices(list(shares), list(shares.values()))[0]


class _Writer:
    """Writes in one language; the same chance writes the same."""

    def __init__(self, chance: random.Random, language: str) -> None:
        self._chance = chance
        self._texts = _texts(language)

    def say(self, kind: str) -> str:
        """Return one of the texts of a kind, its gaps filled in."""
        text = self._chance.choice(self._texts[kind])
        room = f"{self._chance.choice('ABCD')}{self._chance.randint(0, 4)}.{self._number(5, 40)}"
        small = self._number(4, 9)
        gaps = {name: self._chance.choice(self._texts[name]) for name in ("room", "day", "office")}
        filled = text.format(n=small, r=room, **gaps).format(n=small, r=room)
        return filled[0].upper() + filled[1:]

    def _number(self, low: int, high: int) -> str:
        return f"{self._chance.randint(low, high):0{len(str(high))}}"

    def report(self, category: Category) -> str:
        """Return a description as people type it: hurried, or with a second line."""
        text = self.say(category)
        manner = self._chance.random()
        if manner < 0.12:
            return text.lower()
        if manner < 0.15:
            return f"{text}!!"
        if manner < 0.6:
            return f"{text.rstrip('.')}{'' if text.endswith('?') else '.'}\n{self.say('detail')}"
        return text


def _story(index: int, seed: int, now: datetime) -> Story:
    chance = random.Random(f"{seed} {index}")  # noqa: S311 (no secret)
    language = _one_of(chance, LANGUAGES)
    category = Category(_one_of(chance, {c.value: share for c, share in CATEGORIES.items()}))
    writer = _Writer(chance, language)
    description = writer.report(category)
    thread = list(_thread(chance, writer))
    fate = chance.random()
    # All that is said is chosen by now; what follows depends on the calendar.
    opened_at = rhythm.opening(chance, category, now)
    work = rhythm.WORK[category]
    started_at = rhythm.after(chance, opened_at, work.until_start, now)
    ended_at = rhythm.after(chance, started_at, work.until_end, now)
    steps = [Step(started_at, Role.HELPDESK, Action.ACTIVATED)]
    if fate > 2 * FORGOTTEN_SHARE:
        steps.append(Step(ended_at, Role.HELPDESK, Action.CLOSED))
    for role, share, text in thread:
        # -1 to 0 is before work starts, 0 to 1 between start and end.
        since, until = (opened_at, started_at) if share < 0 else (started_at, ended_at)
        at = since + (until - since) * (share % 1)
        steps.append(Step(at.replace(microsecond=0), role, Action.MESSAGE_SENT, text))
    if fate < FORGOTTEN_SHARE:
        steps = [step for step in steps if step.at < started_at]
    return Story(
        key=uuid5(NAMESPACE, f"{seed} {index}"),
        language=language,
        category=category,
        description=description,
        opened_at=opened_at,
        steps=tuple(_in_order(opened_at, steps, now)),
    )


def _thread(chance: random.Random, writer: _Writer) -> Iterator[tuple[Role, float, str]]:
    """Yield author, place in time (see `_story`) and text of each message."""
    user, helpdesk = Role.USER, Role.HELPDESK
    if chance.random() < 0.12:
        yield user, chance.uniform(-0.9, -0.5), writer.say("more")
    if chance.random() < 0.35:
        asked = chance.uniform(0.02, 0.3)
        yield helpdesk, asked, writer.say("question")
        if chance.random() < 0.85:
            yield user, asked + chance.uniform(0.02, 0.2), writer.say("answer")
    if chance.random() < 0.3:
        yield helpdesk, chance.uniform(0.5, 0.6), writer.say("progress")
    if chance.random() < 0.1:
        yield user, chance.uniform(0.7, 0.8), writer.say("nudge")
    if chance.random() < 0.6:
        yield helpdesk, chance.uniform(0.85, 0.9), writer.say("resolved")
        if chance.random() < 0.3:
            yield user, chance.uniform(0.91, 0.99), writer.say("thanks")


def _in_order(opened_at: datetime, steps: list[Step], now: datetime) -> Iterator[Step]:
    """Yield the steps up to `now`, each at least a second after the one before."""
    last = opened_at.astimezone(UTC)  # a zone's clock jumps
    for step in sorted(steps, key=lambda step: (step.at, step.action is Action.CLOSED)):
        last = max(step.at.astimezone(UTC), last + timedelta(seconds=1))
        if last >= now:
            return
        yield Step(last, step.role, step.action, step.text)
