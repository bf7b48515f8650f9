"""Refusals and failures for programs: RFC 9457 `application/problem+json`."""

from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import hdrs, web

from contracts.rest import FieldError, Problem
from runtime.http import RETRY_AFTER_SECONDS
from web.accept import prefers_json, read_header

CONTENT_TYPE = "application/problem+json"
HEADERS = {
    hdrs.CACHE_CONTROL: "private, no-cache",
    hdrs.VARY: "Accept, Accept-Language, Cookie",
}
CODES = {422: "invalid", 503: "unavailable", 500: "internal"}


def wants_json(request: web.Request) -> bool:
    """Tell whether a program asks, which reads JSON and no page."""
    return prefers_json(read_header(request, hdrs.ACCEPT))


def problem_response(
    status: int, detail: str, errors: Iterable[FieldError] = (), support_id: str = ""
) -> web.Response:
    """Return what is wrong; `detail` is for people."""
    known = HTTPStatus(status)
    problem = Problem(
        title=known.phrase,
        status=status,
        detail=detail,
        code=CODES.get(status, known.name.lower()),
        errors=list(errors) or None,
        support_id=support_id or None,
    )
    retry = (
        {hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)}
        if status == HTTPStatus.SERVICE_UNAVAILABLE
        else {}
    )
    return web.Response(
        text=problem.to_json(), status=status, content_type=CONTENT_TYPE, headers=HEADERS | retry
    )
