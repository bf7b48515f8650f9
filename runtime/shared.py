"""What anybody may ask for, made once for all who ask at the same time."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What `make` returns: the same for all who wait for it, and for `seconds` after it was begun.

    Whoever goes while it is made takes it from nobody.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]], seconds: float = 0.0) -> None:
        self._make = make
        self._seconds = seconds
        self._begun_at = 0.0
        self._making: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return it; raises as `make` does."""
        making = self._making
        is_old = time.monotonic() - self._begun_at >= self._seconds
        if making is None or (making.done() and is_old):
            self._begun_at = time.monotonic()
            making = self._making = asyncio.create_task(self._make())
        return await asyncio.shield(making)
