"""Under which names this site is served; under any other it is not (421).

A browser takes all that comes from one name for one site. Whoever owns a name can point it here
after somebody has opened a page of theirs under it (DNS rebinding), and that page would read and
send as if it were ours. An address in digits cannot be pointed elsewhere, so each is ours: a page
that a browser loaded from it came from here. A request that names no host comes from no browser.
"""

import logging
import time
from ipaddress import ip_address

from aiohttp import web
from prometheus_client import Counter

from web.forwarded import client_address, named_host
from web.settings import SETTINGS

log = logging.getLogger(__name__)

# Whoever tries many names fills no log.
LOG_SECONDS = 60.0

FOREIGN = Counter("web_foreign_host_total", "Requests under a host name that is not this site's.")


class ForeignHost(Exception):
    """Somebody else's name points here, or a name of ours is not declared."""


class OwnHosts:
    """Tells our names from others, and says in the log now and then which one was refused."""

    def __init__(self) -> None:
        self._said_at = -LOG_SECONDS

    def require(self, request: web.Request) -> None:
        """Raise ForeignHost where a browser asks under a name that is not declared."""
        host = named_host(request)
        if not host or host in request.app[SETTINGS].own_hosts or _is_address(host):
            return
        FOREIGN.inc()
        now = time.monotonic()
        if now - self._said_at >= LOG_SECONDS:
            self._said_at = now
            log.warning(
                "refused under the name %.200r, asked by %s; where it is this site's, add it to "
                "WEB_HOSTS: docs/proxy.md (said once in %d s)",
                host,
                client_address(request),
                LOG_SECONDS,
            )
        raise ForeignHost


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


OWN_HOSTS = web.AppKey("own_hosts", OwnHosts)
