"""The one way in which a cookie is set: out of scripts' reach, for this site, over TLS where it is.

Behind a proxy that ends TLS, `X-Forwarded-Proto` says how the browser came; without one anybody
could send that header, so it counts only where the settings say so.
"""

from aiohttp import web

from web.keys import SETTINGS

# The longest that browsers keep a cookie: 400 days (RFC 6265bis, section 5.5).
COOKIE_MAX_AGE_SECONDS = 400 * 24 * 3600


def set_cookie(
    request: web.Request, response: web.StreamResponse, name: str, value: str, max_age_s: int
) -> None:
    """Set a cookie that no script reads."""
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        httponly=True,
        samesite="Lax",
        secure=_came_over_tls(request),
    )


def delete_cookie(request: web.Request, response: web.StreamResponse, name: str) -> None:
    """Delete a cookie."""
    response.del_cookie(name, httponly=True, samesite="Lax", secure=_came_over_tls(request))


def _came_over_tls(request: web.Request) -> bool:
    forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
    return request.secure or (request.app[SETTINGS].is_behind_proxy and forwarded == "https")
