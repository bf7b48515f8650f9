"""What keeps a page to itself: response headers, and a refusal of other sites' forms.

There is no token against forged requests: tokens expire under a writer. Browsers say where a
request comes from instead (`Sec-Fetch-Site`, or `Origin` from older ones).
"""

from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

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
    if fetch_site is not None:
        if fetch_site not in {"same-origin", "none"}:
            raise CrossSite
        return
    origin = request.headers.get("Origin")
    if origin is not None and _host_of(origin) != request.host.lower():
        raise CrossSite


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None  # no browser writes such an origin, so it is nobody's


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every response that doesn't set its own (a signal handler)."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
