"""How often one sender may report, write, search: without accounts, by browser and by address.

Both count. A signed key tells one browser behind a shared address from the others, and its bucket
is tight. The address's own is generous, since a campus may have only one, and bounds whoever takes
a new key for each request. All browsers of an address that have no key share one browser's bucket,
so that it gains nothing to drop or invent cookies.

Each process counts for itself. There is no proof of work to get past a limit: it would cost old
phones and people without JavaScript most, and a script that can wait anyway least.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import Counter

from runtime.contended import Contended
from runtime.http import Busy, await_body
from runtime.limits import SELDOM, Buckets, Limited, Rate
from web.browser import BROWSER
from web.forwarded import client_address, client_network
from web.settings import Kind

log = logging.getLogger(__name__)

LIMITED_TOTAL = Counter(
    "web_limited_total", "Requests refused because their sender sent too many.", ["kind", "by"]
)
# How many refusals the people of an address get without a wait.
REFUSED_AT_ONCE = Rate(burst=60, per_minute=120)
# Nobody notices who reads the sentence that comes with it.
HELD_UP_SECONDS = 1.0
# Of some kB each, and beyond it refusals come at once.
HELD_UP_MAX = 1_000
KINDS = {
    ("POST", "/tickets"): Kind.REPORT,
    ("POST", "/tickets/{id}/description"): Kind.MESSAGE,
    ("POST", "/tickets/{id}/messages"): Kind.MESSAGE,
    ("POST", "/tickets/{id}/affected"): Kind.AFFECTED,
    ("POST", "/tickets/{id}/typing"): Kind.TYPING,
    ("POST", "/tickets/{id}/category"): Kind.WORK,
    ("POST", "/tickets/{id}/status"): Kind.WORK,
    ("POST", "/tickets/{id}/duplicate"): Kind.WORK,
    ("POST", "/replies"): Kind.WORK,
    ("POST", "/replies/{id}"): Kind.WORK,
    ("POST", "/replies/{id}/delete"): Kind.WORK,
    ("GET", "/tickets/hints"): Kind.HINT,
    ("GET", "/tickets/{id}/similar"): Kind.HINT,
}
# These cost something only where they ask for something, whatever the method.
KINDS_OF_PARAMETERS = {
    ("/tickets", "q"): Kind.SEARCH,
    ("/tickets/bulk", "q"): Kind.SEARCH,  # it shows the list, too
    ("/classifier", "text"): Kind.HINT,
}


class Limits:
    """The buckets of one process."""

    def __init__(
        self,
        limits: Mapping[str, tuple[Rate, ...]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buckets = {
            kind: {
                "browser": Buckets(browser, clock=clock),
                "address": Buckets(address, clock=clock),
            }
            for kind, (browser, address) in limits.items()
        }
        self._logged = Buckets(SELDOM, clock=clock)
        self._refused_at_once = Buckets(REFUSED_AT_ONCE, clock=clock)
        self._held_up = 0

    def take(self, request: web.Request, kind: Kind, tokens: int = 1) -> None:
        """Let the sender of a request do something so many times; raises Limited.

        Who is refused has used up nothing, and passes once it has waited.
        """
        if kind not in self._buckets:
            return
        network, key = client_network(request), request[BROWSER]
        senders: dict[str, Hashable] = {"browser": key or network, "address": network}
        buckets = self._buckets[kind]
        waits = {by: buckets[by].wait(sender, tokens) for by, sender in senders.items()}
        by = max(waits, key=lambda by: waits[by])
        if waits[by]:
            LIMITED_TOTAL.labels(kind, by).inc()
            # Whoever has no key shares what one browser has.
            limited = Limited(kind, waits[by], is_shared=by == "address" or key is None)
            self._log(senders[by], f"{kind} by {by}", client_address(request), limited.seconds)
            raise limited
        for by, sender in senders.items():
            buckets[by].take(sender, tokens)

    async def hold_up(self, request: web.Request) -> None:
        """Let the sender of a refused request wait, where it was refused often of late.

        Nothing else is read from a connection that waits: a script without pauses costs little.
        """
        if not self._buckets or self._held_up >= HELD_UP_MAX:
            return
        if self._refused_at_once.try_take(client_network(request)):
            return
        self._held_up += 1
        try:
            await asyncio.sleep(HELD_UP_SECONDS)
        finally:
            self._held_up -= 1

    def _log(self, sender: Hashable, what: str, address: str, seconds: int) -> None:
        """Say it once a minute of each sender; the metric counts the others."""
        if self._logged.try_take(sender):
            log.warning("limited: %s, from %.50r, for %d s", what, address, seconds)


LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limit_senders(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise Limited where the sender has to wait, before the request takes anybody's place.

    Whoever is refused again and again, for whatever reason, is refused slowly.
    """
    limits = request.app[LIMITS]
    try:
        if kind := _find_kind(request):
            limits.take(request, kind)
        return await handler(request)
    except (Busy, Contended, Limited):
        await limits.hold_up(request)
        await await_body(request)  # the answer gives the typed text back
        raise


def _find_kind(request: web.Request) -> Kind | None:
    resource = request.match_info.route.resource
    path = resource.canonical if resource else ""
    method = hdrs.METH_GET if request.method == hdrs.METH_HEAD else request.method
    asked = (
        kind
        for (place, name), kind in KINDS_OF_PARAMETERS.items()
        if place == path and request.query.get(name, "").strip()
    )
    return KINDS.get((method, path)) or next(asked, None)
