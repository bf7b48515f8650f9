"""How a refusal or a failure looks to the caller: one table, and the middleware that uses it."""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from contracts.rest import Problem
from contracts.vocabulary import REPLIES_MAX
from runtime.contended import Contended
from runtime.http import RETRY_AFTER_SECONDS, Busy
from runtime.limits import Limited
from runtime.postgres import DatabaseAway
from ticket_svc import errors

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_RETRY: dict[str, str] = {hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)}


class Kind(NamedTuple):
    """What callers read: `code` is for programs and stays, `detail` is for people."""

    status: HTTPStatus
    code: str
    detail: str


KIND_OF_REFUSAL: dict[type[errors.Refused], Kind] = {
    errors.BadJson: Kind(HTTPStatus.BAD_REQUEST, "bad_json", "The body is not JSON."),
    errors.BadRole: Kind(
        HTTPStatus.BAD_REQUEST, "bad_role", "The header X-Role must be user or helpdesk."
    ),
    errors.Unauthorized: Kind(
        HTTPStatus.UNAUTHORIZED, "unauthorized", "The bearer token is missing or wrong."
    ),
    errors.Forbidden: Kind(HTTPStatus.FORBIDDEN, "forbidden", "This is for helpdesk only."),
    errors.ClosedToUsers: Kind(HTTPStatus.FORBIDDEN, "ticket_closed", "This ticket was closed."),
    errors.NotFound: Kind(HTTPStatus.NOT_FOUND, "not_found", "There is no such ticket."),
    errors.NoSuchReply: Kind(HTTPStatus.NOT_FOUND, "not_found", "There is no such reply."),
    errors.TicketClosed: Kind(
        HTTPStatus.CONFLICT, "ticket_closed", "This ticket was closed and takes no change any more."
    ),
    errors.ThreadFull: Kind(
        HTTPStatus.CONFLICT,
        "thread_full",
        "This ticket takes no more messages; open a new one about what is left.",
    ),
    errors.WrongStep: Kind(
        HTTPStatus.CONFLICT, "wrong_step", "A ticket moves from open to active to closed."
    ),
    errors.DuplicateChain: Kind(
        HTTPStatus.CONFLICT,
        "duplicate_chain",
        "A duplicate points to a ticket that is not a duplicate itself.",
    ),
    errors.TitleTaken: Kind(
        HTTPStatus.CONFLICT, "title_taken", "There is another reply with this title."
    ),
    errors.TooManyReplies: Kind(
        HTTPStatus.CONFLICT,
        "too_many_replies",
        f"There are {REPLIES_MAX} replies already; delete one that nobody needs.",
    ),
    errors.Stale: Kind(
        HTTPStatus.PRECONDITION_FAILED, "stale", "The ticket was changed since you read it."
    ),
    errors.NotJson: Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "The body must be application/json."
    ),
    errors.Invalid: Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "The request has a wrong or missing field."
    ),
    errors.KeyReused: Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "The idempotency key was used for another request.",
    ),
    errors.MatchRequired: Kind(
        HTTPStatus.PRECONDITION_REQUIRED,
        "if_match_required",
        "An edit must name, in If-Match, the ETag of the version it was made from.",
    ),
}
TOO_LARGE = Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The body is too large.")
TOO_SLOW = Kind(
    HTTPStatus.REQUEST_TIMEOUT, "too_slow", "The body took too long to arrive; send it again."
)
BAD_BODY = Kind(HTTPStatus.BAD_REQUEST, "bad_body", "The body is not what its headers say it is.")
NO_SUCH_ADDRESS = Kind(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
WRONG_METHOD = Kind(
    HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "This address takes other methods."
)
UNAVAILABLE = Kind(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    "The database cannot be used just now; try again.",
)
BUSY = Kind(
    HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Too many requests are in work; try again soon."
)
TOO_OFTEN = Kind(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_requests",
    "There were more such calls with this token than it may make; wait as Retry-After says.",
)
CONTENDED = Kind(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "contended",
    "Others are changing the same ticket at the moment; try again soon.",
)
INTERNAL = Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong here.")


def problem(kind: Kind, headers: Mapping[str, str] | None = None, **members: Any) -> web.Response:
    """Return the response for a kind; `members` are more fields of `Problem`."""
    body = Problem(
        title=kind.status.phrase,
        status=kind.status,
        detail=kind.detail,
        code=kind.code,
        **members,
    )
    return web.Response(
        status=kind.status,
        text=body.to_json(),
        content_type=CONTENT_TYPE,
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever stops a request into problem details."""
    try:
        return await handler(request)
    except errors.Refused as refused:
        return _refusal(refused)
    except Busy:
        return problem(BUSY, _RETRY)
    except Limited as limited:
        return problem(TOO_OFTEN, {hdrs.RETRY_AFTER: str(limited.seconds)})
    except Contended:
        return problem(CONTENDED, _RETRY)
    except web.HTTPRequestEntityTooLarge:
        return problem(TOO_LARGE)
    except web.HTTPRequestTimeout:
        return problem(TOO_SLOW)
    except web.HTTPMethodNotAllowed as error:
        return problem(WRONG_METHOD, {hdrs.ALLOW: error.headers[hdrs.ALLOW]})
    except web.HTTPNotFound:
        return problem(NO_SUCH_ADDRESS)
    except web.RequestPayloadError:
        # aiohttp would try to read the rest, and log that as a defect.
        request.content.feed_eof()
        response = problem(BAD_BODY)
        response.force_close()
        return response
    except Exception as error:
        if request.transport is None:
            return web.Response(status=499)  # the caller has gone; the status is for the metrics
        response = _failure(error)
        if request.writer.output_size:
            # An answer has begun: the connection ends, so that nobody takes it for a whole one.
            request.transport.abort()
        return response


def _refusal(refused: errors.Refused) -> web.Response:
    headers: dict[str, str] = {}
    if isinstance(refused, errors.Unauthorized):
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return problem(
        KIND_OF_REFUSAL[type(refused)],
        headers,
        errors=refused.errors or None,
        ticket=refused.ticket,
        closed_at=refused.closed_at,
    )


def _failure(error: Exception) -> web.Response:
    support_id = secrets.token_hex(4)
    if isinstance(error, DatabaseAway):
        log.error("database away, support id %s: %s", support_id, error)
        return problem(UNAVAILABLE, _RETRY, support_id=support_id)
    log.error("request failed, support id %s", support_id, exc_info=error)
    return problem(INTERNAL, support_id=support_id)
