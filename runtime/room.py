"""Which connections make room when there are too many: of the address that has the most, the one
that was not used for longest. So whoever opens many loses their own.
"""

from collections import OrderedDict
from typing import Protocol


class Guest(Protocol):
    """What has room."""

    def cut(self) -> None:
        """End the connection at once."""


class Room:
    """The connections that may be ended for others, by address; the one used last is last."""

    def __init__(self) -> None:
        self._by_address: dict[str, OrderedDict[Guest, None]] = {}
        self.count = 0

    def enter(self, guest: Guest, address: str) -> None:
        """Note that it was used just now, and may be ended from now on."""
        self.leave(guest, address)
        self._by_address.setdefault(address, OrderedDict())[guest] = None
        self.count += 1

    def leave(self, guest: Guest, address: str) -> None:
        """Note that it is gone, or must not be ended now."""
        guests = self._by_address.get(address, OrderedDict())
        if guest not in guests:
            return
        del guests[guest]
        self.count -= 1
        if not guests:
            del self._by_address[address]

    def make(self, most: int) -> int:
        """End what is more than `most`; return how many were ended."""
        ended = 0
        while self.count > most:
            address, guests = max(self._by_address.items(), key=lambda one: len(one[1]))
            guest = next(iter(guests))
            self.leave(guest, address)
            guest.cut()
            ended += 1
        return ended
