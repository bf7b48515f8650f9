"""Requests whose head cannot be read or is too large: how large one may be, and what is answered
before there is a request that a handler or a middleware could see.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, LineTooLong

from contracts.rest import Problem

# A text of 10 000 characters, percent-encoded, fits into an address.
LINE_MAX_BYTES = 128 * 1024
# One header: a Kerberos ticket has up to 48 000 bytes, in base64, and the cookies of all other
# applications under the same domain come in one too.
FIELD_MAX_BYTES = 64 * 1024
# All of a head: the longest address, the longest header, and room for what else browsers send.
HEAD_MAX_BYTES = 256 * 1024
# From the first byte of a head to its last.
HEAD_SECONDS = 20.0
TOO_LARGE = "The head is too large"
# How long what comes after a refusal is still read, so that the refusal arrives, and how long
# nothing has to come before that ends.
LINGER_SECONDS = 2.0
QUIET_SECONDS = 0.1
# The answer's `Server`: what we are, not of which software of which version with which holes.
SERVER = "campus-helpdesk"

DETAILS = {
    HTTPStatus.BAD_REQUEST: "This is not a request of HTTP/1.1.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"An address must have at most {LINE_MAX_BYTES} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"A header, such as all cookies together, must have at most {FIELD_MAX_BYTES} bytes, "
        f"all of them and the address {HEAD_MAX_BYTES}."
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here.",
}


class Answer(NamedTuple):
    """The body of a refusal, and what it is."""

    content_type: str
    text: str
    headers: Mapping[str, str] = {}


def say_problem(status: HTTPStatus) -> Answer:
    """Return a refusal for programs."""
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=DETAILS.get(status, f"{status.description}."),
        code=status.name.lower(),
    )
    return Answer("application/problem+json", problem.to_json())


def without_the_request(record: logging.LogRecord) -> bool:
    """Keep the bytes of what cannot be read out of the log: they may hold a secret (a filter)."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "a request cannot be read: %s", (type(error).__name__,)
        record.exc_info = None
    return True


logging.getLogger("aiohttp.server").addFilter(without_the_request)


async def name_server(_request: web.Request, response: web.StreamResponse) -> None:
    """Say nothing of the software (a handler of `on_response_prepare`)."""
    response.headers[hdrs.SERVER] = SERVER


def status_of(status: HTTPStatus, error: BaseException | None) -> HTTPStatus:
    """Return the status of a refusal: aiohttp says 400 to all that it cannot read."""
    if isinstance(error, LineTooLong):
        is_first = LINE_MAX_BYTES in error.args
        return (
            HTTPStatus.REQUEST_URI_TOO_LONG
            if is_first
            else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        )
    if isinstance(error, BadHttpMessage) and error.message.startswith(
        ("Too many headers", TOO_LARGE)
    ):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return status


def head_size(message: RawRequestMessage) -> int:
    """Return how many bytes the head of a request had, but for a few of its first line."""
    fields = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
    return len(message.method) + len(message.path) + fields
