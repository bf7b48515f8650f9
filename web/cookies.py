"""The one way in which a cookie is set: out of scripts' reach, over TLS where it is."""

from aiohttp import web

from web.forwarded import came_over_tls

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
        secure=came_over_tls(request),
    )


def delete_cookie(request: web.Request, response: web.StreamResponse, name: str) -> None:
    """Delete a cookie."""
    response.del_cookie(name, httponly=True, samesite="Lax", secure=came_over_tls(request))
