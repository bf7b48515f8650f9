"""What anybody may ask for is made once for all who ask at the same time."""

import asyncio

import pytest

from runtime import shared
from runtime.shared import Shared


class Maker:
    """Makes a number, once it is let."""

    def __init__(self) -> None:
        self.made = 0
        self.let = asyncio.Event()

    async def make(self) -> int:
        self.made += 1
        await self.let.wait()
        return self.made


async def test_all_who_ask_at_the_same_time_get_the_same() -> None:
    maker = Maker()
    number = Shared(maker.make)
    asked = [asyncio.create_task(number.get()) for _ in range(100)]
    await asyncio.sleep(0)
    asked[0].cancel()  # who goes takes it from nobody
    await asyncio.sleep(0)
    maker.let.set()
    assert set(await asyncio.gather(*asked[1:])) == {1}
    assert await number.get() == 2


async def test_it_is_kept_for_its_time_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(shared.time, "monotonic", lambda: now)
    maker = Maker()
    maker.let.set()
    number = Shared(maker.make, 5)
    assert [await number.get(), await number.get()] == [1, 1]
    now += 5
    assert await number.get() == 2
