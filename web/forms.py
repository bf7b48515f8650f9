"""Reads a posted form; what is no form is an error, never mangled text."""

from collections.abc import Mapping
from urllib.parse import parse_qsl
from uuid import UUID, uuid4, uuid5

from aiohttp import hdrs, web
from markupsafe import escape

FORM = "application/x-www-form-urlencoded"
# 10 000 characters of any script are 120 kB, percent-encoded. With a third more the form is still
# read, so that it comes back with the text and how much of it is too long.
FORM_MAX_BYTES = 160 * 1024
# As much as comes back, spelled as in HTML, where a quotation mark takes five bytes: a page has
# 300 kB at most.
HTML_MAX_BYTES = 250_000
# More than a message takes that is not too long. A refused form with more is a page of its own.
ALONE_FROM_BYTES = 30_000
FIELDS_MAX = 20
# Longer than any word, date, number or cursor in an address.
VALUE_MAX_CHARACTERS = 100


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the form's fields, the last value of each; raises as `read_fields`."""
    return dict(await read_fields(request))


async def read_fields(request: web.Request, most: int = FIELDS_MAX) -> list[tuple[str, str]]:
    """Return the form's fields in their order, names that repeat too, `most` at most.

    Raises HTTPRequestEntityTooLarge over FORM_MAX_BYTES or HTML_MAX_BYTES,
    HTTPUnsupportedMediaType for another kind of body, a packed one too, and HTTPBadRequest for one
    that is not UTF-8 or has more fields.
    """
    if request.content_type != FORM or hdrs.CONTENT_ENCODING in request.headers:
        raise web.HTTPUnsupportedMediaType
    body = await request.read()
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=most
        )
    except ValueError:
        raise web.HTTPBadRequest from None
    if (size := html_bytes(*(value for _, value in fields))) > HTML_MAX_BYTES:
        raise web.HTTPRequestEntityTooLarge(HTML_MAX_BYTES, size)
    return fields


def html_bytes(*texts: str) -> int:
    """Return how many bytes texts take in a page."""
    return sum(len(escape(text).encode()) for text in texts)


def read_value(query: Mapping[str, str], name: str) -> str:
    """Return a parameter of an address, trimmed, empty where there is none.

    What is longer than any right value stays a wrong one when it is cut.
    """
    return query.get(name, "").strip()[:VALUE_MAX_CHARACTERS]


def row_of(request: web.Request) -> str | None:
    """Return what names the ticket that a form changes, the replies, or all marks; else None.

    To say that somebody types changes nothing.
    """
    if request.method != hdrs.METH_POST or request.path.endswith("/typing"):
        return None
    if request.path.startswith("/replies"):
        return "replies"
    if request.path.endswith("/duplicate"):
        return "duplicate"  # the ticket service lets marks wait for each other
    # However the number is written.
    return str(int(request.match_info["id"])) if "id" in request.match_info else None


def read_number(text: str | None) -> int:
    """Return a whole number from a form or an address, 0 where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0


def key_of(form_key: str, text: str) -> UUID:
    """Return the idempotency key of one text in one form.

    It is made of both: a double click, F5 and “back” repeat a submission, while a text that was
    edited after “back” is another one. A form without a usable key counts as new.
    """
    try:
        return uuid5(UUID(form_key), text)
    except ValueError:
        return uuid4()
