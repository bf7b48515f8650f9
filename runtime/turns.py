"""Whose turn it is where more ask than can be served: callers take turns, and each waits behind
what it has asked before. So many requests of one caller make only that caller late.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

# Among so many requests a flood is most of them, and whoever else asks is among them.
LATEST = 64

_Line = deque["asyncio.Future[bool]"]


class Turns:
    """Hands out `places`; `queue` more may wait. No caller gets another one while it has as many as
    `each` returns then, which is told the share of the latest requests that were the caller's, 0-1.
    """

    def __init__(self, places: int, queue: int, each: Callable[[float], int]) -> None:
        self._free = places
        self._queue = queue
        self._each = each
        self._taken: Counter[str] = Counter()
        self._latest: deque[str] = deque()
        self._asked: Counter[str] = Counter()
        # By caller, who is next first; a line is never empty.
        self._lines: dict[str, _Line] = {}

    async def take(self, caller: str, seconds: float) -> bool:
        """Wait for a place for so long; return whether there was one, to be given back."""
        self._note(caller)
        if self._free and self._may_have_another(caller):
            self._grant(caller)
            return True
        if not self._has_room(caller):
            return False
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(turn)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(turn)
        except TimeoutError:
            return turn.done() and turn.result()
        except asyncio.CancelledError:
            if turn.done() and turn.result():
                self.give_back(caller)
            raise
        finally:
            if not turn.done():
                self._leave(caller, turn)

    def give_back(self, caller: str) -> None:
        """Free a place, for whoever is next."""
        self._free += 1
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]
        while self._free and (following := self._next()) is not None:
            line = self._lines.pop(following)
            line.popleft().set_result(True)
            self._grant(following)
            if line:
                self._lines[following] = line  # behind the others

    def _grant(self, caller: str) -> None:
        self._free -= 1
        self._taken[caller] += 1

    def _next(self) -> str | None:
        return next(filter(self._may_have_another, self._lines), None)

    def _may_have_another(self, caller: str) -> bool:
        return self._taken[caller] < self._each(self._asked[caller] / len(self._latest))

    def _note(self, caller: str) -> None:
        self._latest.append(caller)
        self._asked[caller] += 1
        if len(self._latest) > LATEST:
            first = self._latest.popleft()
            self._asked[first] -= 1
            if not self._asked[first]:
                del self._asked[first]

    def _has_room(self, caller: str) -> bool:
        """Tell whether a caller may wait; the last in the longest line makes room for others."""
        if sum(map(len, self._lines.values())) < self._queue:
            return True
        longest = max(self._lines, key=lambda one: len(self._lines[one]), default=caller)
        if len(self._lines.get(longest, ())) <= len(self._lines.get(caller, ())) + 1:
            return False
        last = self._lines[longest][-1]
        self._leave(longest, last)
        last.set_result(False)
        return True

    def _leave(self, caller: str, turn: "asyncio.Future[bool]") -> None:
        line = self._lines[caller]
        line.remove(turn)
        if not line:
            del self._lines[caller]
