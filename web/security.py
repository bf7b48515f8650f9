"""What keeps a page to itself: response headers, and a refusal of other sites' names and forms.

There is no token against forged requests: tokens expire under a writer. Browsers say where a
request comes from instead (`Sec-Fetch-Site`, or `Origin` from older ones).
"""

import logging

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from runtime.http import has_too_many_parameters
from web.forwarded import client_address, is_own, own_origin
from web.hosts import OWN_HOSTS

log = logging.getLogger(__name__)

HEADERS = CIMultiDict(
    {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
            "manifest-src 'self'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossSite(Exception):
    """A page of another site tried to change something here."""


def require_same_site(request: web.Request) -> None:
    """Raise CrossSite where another site's page sent a request that changes something.

    A program that sends neither header is no browser, so nobody's cookie was borrowed.
    """
    if request.method in SAFE_METHODS:
        return
    fetch_site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get(hdrs.ORIGIN)
    if fetch_site is not None:
        is_allowed = fetch_site in {"same-origin", "none"}
    else:
        is_allowed = origin is None or is_own(request, origin)
    if not is_allowed:
        # Said for whoever set up a proxy: without both values nobody finds what is missing.
        log.warning(
            "refused as from another site: %s %.200r from %s, with Origin %.200r and "
            "Sec-Fetch-Site %.50r; this site's own address is %.200r as far as can be told. Where "
            "both are yours, set WEB_TRUSTED_PROXIES or WEB_ORIGINS: docs/proxy.md",
            request.method,
            request.rel_url.raw_path,  # without what somebody wrote into the address
            client_address(request),
            origin,
            fetch_site,
            own_origin(request),
        )
        raise CrossSite


@web.middleware
async def require_own_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through what asks this site, from it, and in an address of readable length.

    Raises ForeignHost, CrossSite, HTTPBadRequest.
    """
    request.app[OWN_HOSTS].require(request)
    require_same_site(request)
    if has_too_many_parameters(request):
        raise web.HTTPBadRequest
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every response that doesn't set its own (a signal handler)."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
