"""What a request says, as typed values; whatever is wrong names its field."""

import re
from typing import TypeVar
from uuid import UUID

from aiohttp import ETag, hdrs, web
from aiohttp.helpers import ETAG_ANY
from pydantic import BaseModel, ValidationError

from contracts.fields import ID_MAX
from contracts.rest import field_errors
from runtime.http import PARAMETERS_MAX, has_too_many_parameters
from ticket_svc.errors import (
    BadJson,
    Invalid,
    MatchRequired,
    NotFound,
    NotJson,
    Refused,
    bad_field,
)
from ticket_svc.queries import Query

IDEMPOTENCY_KEY = "Idempotency-Key"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_ID = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)

BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=Query)


async def read_body(request: web.Request, body_type: type[BodyT]) -> BodyT:
    """Return the JSON body; raises NotJson, BadJson or Invalid."""
    if request.content_type != "application/json" or hdrs.CONTENT_ENCODING in request.headers:
        raise NotJson
    try:
        return body_type.model_validate_json(await request.read())
    except ValidationError as error:
        problems = error.errors()
        if problems[0]["type"] == "json_invalid":
            raise BadJson(*field_errors(problems)) from None
        raise Invalid(*field_errors(problems)) from None


def read_query(request: web.Request, query_type: type[QueryT]) -> QueryT:
    """Return the parameters of the address; raises Invalid."""
    if has_too_many_parameters(request):
        raise Invalid(
            bad_field(
                "query",
                "too_many_parameters",
                "must hold at most {max} parameters",
                max=PARAMETERS_MAX,
            )
        )
    values: dict[str, str | list[str]] = {}
    for name in dict.fromkeys(request.query):
        given = request.query.getall(name)
        if name in query_type.repeated:
            values[name] = list(dict.fromkeys(given))
        elif len(given) == 1 or name not in query_type.model_fields:
            values[name] = given[0]
        else:
            raise Invalid(bad_field(name, "given_twice", "must be given once"))
    try:
        return query_type.model_validate(values)
    except ValidationError as error:
        # Which one of a repeated parameter is wrong can be read in the message.
        named = [{**problem, "loc": problem["loc"][:1]} for problem in error.errors()]
        raise Invalid(*field_errors(named)) from None


def read_id(request: web.Request, missing: type[Refused] = NotFound) -> int:
    """Return the id of the path; raises `missing` for what cannot be one."""
    text = request.match_info["id"]
    if not _ID.fullmatch(text) or int(text) > ID_MAX:
        raise missing(bad_field("id", "id", "must be a number from 1 to {max}", max=ID_MAX))
    return int(text)


def read_key(request: web.Request) -> UUID:
    """Return the key of the path; raises Invalid for one that is no UUID."""
    return _to_uuid("key", request.match_info["key"])


def read_idempotency_key(request: web.Request) -> UUID | None:
    """Return the key if there is one; raises Invalid for one that is no UUID."""
    text = request.headers.get(IDEMPOTENCY_KEY)
    return None if text is None else _to_uuid(IDEMPOTENCY_KEY, text)


def _to_uuid(field: str, text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise Invalid(bad_field(field, "uuid", "must be a UUID"))
    return UUID(text)


def read_if_match(request: web.Request) -> frozenset[int] | None:
    """Return the versions that an edit may replace, None for any; raises MatchRequired, Invalid."""
    etags = request.if_match
    if etags is None:
        raise MatchRequired(bad_field(hdrs.IF_MATCH, "missing_header", "is missing"))
    if not etags:
        raise Invalid(bad_field(hdrs.IF_MATCH, "etag", 'must be an ETag such as "3", or *'))
    if etags[0].value == ETAG_ANY:
        return None
    return frozenset(
        int(etag.value) for etag in etags if _ID.fullmatch(etag.value) and not etag.is_weak
    )


def matches_none(request: web.Request, etag: ETag) -> bool:
    """Tell whether If-None-Match holds the ETag, so that the caller has it already."""
    return any(known.value in (etag.value, ETAG_ANY) for known in request.if_none_match or ())
