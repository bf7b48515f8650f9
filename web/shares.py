"""Who has how much of something of which there is too little, and who makes room for others.

Knows addresses and things, and nothing of what the things are.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

ThingT = TypeVar("ThingT", bound=Hashable)


class Shares(Generic[ThingT]):
    """The things that addresses hold, each as often as it was added; several may hold the same."""

    def __init__(self) -> None:
        # The latest thing of an address is last.
        self._held: defaultdict[str, Counter[ThingT]] = defaultdict(Counter)
        self._holders: defaultdict[ThingT, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        """Return how many different things are held."""
        return len(self._holders)

    def add(self, address: str, thing: ThingT) -> None:
        """Note that an address holds a thing once more."""
        self._held[address][thing] += 1
        self._holders[thing].add(address)

    def remove(self, address: str, thing: ThingT) -> None:
        """Note that an address holds a thing once less."""
        held = self._held[address]
        held[thing] -= 1
        if held[thing]:
            return
        del held[thing]
        if not held:
            del self._held[address]
        self._holders[thing].remove(address)
        if not self._holders[thing]:
            del self._holders[thing]

    def find_spare(self, address: str) -> ThingT | None:
        """Return what has to go so that an address can have one thing more, None for nothing.

        It is the latest of the address that has the most, and whoever else holds it has more than
        that address would have, too.
        """
        fair = len(self._held.get(address, ())) + 1
        most = max(self._held.values(), key=len, default=Counter[ThingT]())
        if len(most) <= fair:
            return None
        for thing in reversed(most):
            if all(len(self._held[holder]) > fair for holder in self._holders[thing]):
                return thing
        return None
