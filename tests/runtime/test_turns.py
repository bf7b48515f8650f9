"""Many requests of one caller make only that caller late."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from runtime.turns import Turns

LONG, SHORT = 60.0, 0.01


class Crowd:
    """Callers that hold what they get until they are told to give it back."""

    def __init__(self, places: int, queue: int, each: int) -> None:
        self.each = each
        self.each_of_few = 0
        self.turns = Turns(places, queue, self.give)
        self.served: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def give(self, share: float) -> int:
        """Return how many one caller may have."""
        return self.each if share > 0.5 else self.each_of_few or self.each

    async def ask(self, *callers: str, seconds: float = LONG) -> None:
        """Ask once for each of the callers, in this order."""
        for caller in callers:
            self.tasks.append(asyncio.create_task(self._ask(caller, seconds)))
        await settle()

    async def finish(self, caller: str) -> None:
        """Let one request of a caller end."""
        self.turns.give_back(caller)
        await settle()

    async def _ask(self, caller: str, seconds: float) -> None:
        got = await self.turns.take(caller, seconds)
        (self.served if got else self.refused).append(caller)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd() -> AsyncIterator[Callable[[int, int, int], Crowd]]:
    made: list[Crowd] = []

    def make(places: int, queue: int, each: int) -> Crowd:
        made.append(Crowd(places, queue, each))
        return made[-1]

    yield make
    for one in made:
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)


async def test_what_one_may_have_changes_with_what_there_is(
    crowd: Callable[[int, int, int], Crowd],
) -> None:
    people = crowd(4, 10, 2)
    await people.ask("flood", "flood", "flood")
    assert people.served == ["flood"] * 2
    people.each = 1
    await people.finish("flood")
    assert people.served == ["flood"] * 2
    await people.finish("flood")
    assert people.served == ["flood"] * 3


async def test_who_asks_most_of_all_may_have_less_until_others_have_asked_as_often(
    crowd: Callable[[int, int, int], Crowd],
) -> None:
    people = crowd(9, 9, 1)
    people.each_of_few = 2
    await people.ask("flood", "flood", "flood", "one", "one")
    assert people.served == ["flood", "one", "one"]
    await people.finish("flood")
    assert people.served == ["flood", "one", "one", "flood"]
    # Three of seven are less than half.
    await people.ask("other", "other")
    await people.finish("other")
    assert people.served == ["flood", "one", "one", "flood", "other", "other", "flood"]


async def test_callers_take_turns(crowd: Callable[[int, int, int], Crowd]) -> None:
    people = crowd(1, 10, 1)
    await people.ask("flood", "flood", "flood", "flood", "one", "other", "one")
    for caller in ("flood", "flood", "one", "other", "flood", "one"):
        await people.finish(caller)
    assert people.served == ["flood", "flood", "one", "other", "flood", "one", "flood"]


async def test_some_places_are_never_had_by_one_alone(
    crowd: Callable[[int, int, int], Crowd],
) -> None:
    people = crowd(4, 10, 3)
    await people.ask(*["flood"] * 8)
    assert people.served == ["flood"] * 3
    await people.ask("one")
    assert people.served == ["flood"] * 3 + ["one"]
    await people.finish("one")
    assert people.served == ["flood"] * 3 + ["one"]
    await people.finish("flood")
    assert people.served == ["flood"] * 3 + ["one", "flood"]


async def test_who_waits_most_makes_room_in_a_full_queue(
    crowd: Callable[[int, int, int], Crowd],
) -> None:
    people = crowd(1, 4, 1)
    await people.ask(*["flood"] * 6)
    assert people.refused == ["flood"]
    await people.ask("one")
    assert people.refused == ["flood"] * 2
    await people.ask("one")
    assert people.refused == ["flood"] * 2 + ["flood"]
    # Two and two: nobody is worth more than the others.
    await people.ask("one", "flood")
    assert people.refused == ["flood"] * 3 + ["one", "flood"]


async def test_who_waits_in_vain_or_goes_leaves_no_trace(
    crowd: Callable[[int, int, int], Crowd],
) -> None:
    people = crowd(1, 2, 1)
    await people.ask("holder")
    await people.ask("late", seconds=SHORT)
    late = people.tasks[-1]
    await people.ask("gone")
    await late
    assert people.refused == ["late"]
    for task in people.tasks:
        task.cancel()
    await settle()
    await people.ask("a", "b", "c")
    assert people.refused == ["late", "c"]
    await people.finish("holder")
    await people.finish("a")
    assert people.served == ["holder", "a", "b"]


async def test_a_place_given_to_who_just_goes_is_not_lost(
    crowd: Callable[[int, int, int], Crowd],
) -> None:
    people = crowd(1, 2, 1)
    await people.ask("holder")
    await people.ask("gone")
    people.turns.give_back("holder")  # to the one that waits …
    for task in people.tasks:
        task.cancel()  # … and goes before it hears of it
    await settle()
    await people.ask("next")
    assert people.served == ["holder", "next"]
