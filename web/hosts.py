"""Under which names this site is served; under any other it is not (421).

A browser takes all that comes from one name for one site. Whoever owns a name can point it here
after somebody has opened a page of theirs under it (DNS rebinding), and that page would read and
send as if it were ours. An address in digits cannot be pointed elsewhere, so each is ours: a page
that a browser loaded from it came from here. A request that names no host comes from no browser.
"""

import logging
from ipaddress import ip_address

from aiohttp import web
from prometheus_client import Counter

from runtime.limits import SELDOM, Buckets
from web.forwarded import client_address, named_host
from web.settings import SETTINGS

log = logging.getLogger(__name__)

FOREIGN = Counter("web_foreign_host_total", "Requests under a host name that is not this site's.")


class ForeignHost(Exception):
    """Somebody else's name points here, or a name of ours is not declared."""


class OwnHosts:
    """Tells our names from others, and says in the log now and then which one was refused."""

    def __init__(self) -> None:
        self._said = Buckets(SELDOM)

    def require(self, request: web.Request) -> None:
        """Raise ForeignHost where a browser asks under a name that is not declared."""
        host = named_host(request)
        if not host or host in request.app[SETTINGS].own_hosts or _is_address(host):
            return
        FOREIGN.inc()
        # Not once for each name: whoever tries many fills no log.
        if self._said.try_take("foreign host"):
            log.warning(
                "refused under the name %.200r, asked by %s; where it is this site's, add it to "
                "WEB_HOSTS: docs/proxy.md (said once a minute)",
                host,
                client_address(request),
            )
        raise ForeignHost


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


OWN_HOSTS = web.AppKey("own_hosts", OwnHosts)
