"""Asks the classifier service; nobody ever waits for it longer than for what it is worth."""

import time
from collections import OrderedDict
from hashlib import sha256
from math import inf

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.messages import (
    Classification,
    ClassifyRequest,
    CorrectionsReport,
    CorrectionsRequest,
)
from contracts.rest import Ticket
from contracts.topology import RPC_CLASSIFY, RPC_CORRECTIONS
from contracts.vocabulary import CategorySource

CLASSIFY_SECONDS = 1.0
CORRECTIONS_SECONDS = 3.0
# Marked words are a help for readers, who want the page.
BECAUSE_SECONDS = 0.2
# A busy day's tickets, at well under 1 kB each: texts are kept as digests, words are five at most.
REMEMBERED_TEXTS = 4_096
# Between two questions for a page, of which only one is asked at a time: more than people open
# tickets that nobody has opened before. A crowd's pages go without, so that they cost what they
# cost, the classifier is left to who reports, and one that hangs delays one page.
PAUSE_SECONDS = 0.02


async def find_category(
    rpc: RpcClient, text: str, timeout_s: float = CLASSIFY_SECONDS
) -> Classification | None:
    """Return the category of a text, None while the classifier cannot say.

    A ticket is stored without one then and gets it later, through the ticket service's outbox.
    """
    try:
        request = ClassifyRequest(text=text)
        return await rpc.call(RPC_CLASSIFY, request, Classification, timeout_s)
    except (RpcError, ValueError):
        return None


async def corrections(rpc: RpcClient) -> CorrectionsReport:
    """Return what helpdesk corrected, and which model answers now; raises RpcError."""
    request = CorrectionsRequest()
    return await rpc.call(RPC_CORRECTIONS, request, CorrectionsReport, CORRECTIONS_SECONDS)


class Because:
    """Which words of a ticket decided its category; remembers what it asked for last.

    The answer to a text changes with the model only, and then words that decided are no less true
    of the category that the ticket got.
    """

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc
        self._remembered: OrderedDict[bytes, Classification] = OrderedDict()
        self._free_at = 0.0

    async def words(self, ticket: Ticket) -> list[str]:
        """Return the words, spelt as in the description, the strongest first.

        There are none where helpdesk decided, where the classifier says another category by now,
        while it does not answer, and where it is asked too much already.
        """
        if ticket.category_source is not CategorySource.CLASSIFIER:
            return []
        found = await self._find(ticket.description)
        return found.because if found and found.category is ticket.category else []

    async def _find(self, text: str) -> Classification | None:
        key = sha256(text.encode()).digest()
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return self._remembered[key]
        if time.monotonic() < self._free_at:
            return None
        self._free_at = inf
        try:
            found = await find_category(self._rpc, text, BECAUSE_SECONDS)
        finally:
            self._free_at = time.monotonic() + PAUSE_SECONDS
        if found is not None:
            self._remembered[key] = found
            if len(self._remembered) > REMEMBERED_TEXTS:
                self._remembered.popitem(last=False)
        return found
