"""What may stand behind the `?` of an address; unknown parameters are errors."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.types import AwareDatetime
from pydantic_core import PydanticCustomError

from contracts.fields import Body, CategoryOrNone, Description, Id, Version, clean_text
from contracts.text import is_blank
from contracts.vocabulary import (
    PAGE_DEFAULT_ITEMS,
    PAGE_MAX_ITEMS,
    SEARCH_MAX_CHARACTERS,
    SIMILAR_MAX_ITEMS,
    Status,
)
from ticket_svc.cursor import Cursor, decode_cursor

Sort: TypeAlias = Literal[
    "-opened_at", "opened_at", "-modified_at", "modified_at", "-affected", "waiting_since"
]
SIMILAR_DEFAULT_ITEMS = 5

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _require_rfc_3339(value: str) -> str:
    if not _RFC_3339.fullmatch(value):
        raise PydanticCustomError("instant", "must be an instant such as 2026-05-31T08:00:00Z")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("year", "must be between the years 1 and 9999") from None


def _clean_search(value: str) -> str | None:
    return None if is_blank(value) else clean_text(value, SEARCH_MAX_CHARACTERS)


def _decode(value: str) -> Cursor:
    try:
        return decode_cursor(value)
    except ValueError:
        raise PydanticCustomError("cursor", "is not a cursor that this service gave") from None


def _text_parameter(description: str, **schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, **schema})


InstantParameter = Annotated[
    AwareDatetime,
    BeforeValidator(_require_rfc_3339),
    AfterValidator(_to_utc),
]

PartLimit = Annotated[
    int,
    Field(
        ge=1,
        le=PAGE_MAX_ITEMS,
        description="Only the last so many; fewer where their texts have more than 2 MB.",
    ),
]


class Query(Body):
    """Parameters of an address; those in `repeated` may occur more than once."""

    repeated: ClassVar[frozenset[str]] = frozenset()


class ListQuery(Query):
    """Which tickets, in which order."""

    repeated = frozenset({"status", "category"})

    status: Annotated[
        tuple[Status, ...],
        Field(description="Any of these; users see open and active tickets only."),
    ] = ()
    category: Annotated[
        tuple[CategoryOrNone, ...],
        Field(description="Any of these; `none` finds tickets without a category."),
    ] = ()
    q: Annotated[
        str | None,
        BeforeValidator(_clean_search),
        _text_parameter(
            "Words that all occur in the description or the messages, in any order, whatever their"
            " case and accents: from three letters on also as parts of words, shorter ones where a"
            " word begins; mistyped ones stand for what is near and more usual. Of many words the"
            " twelve longest count. `hits` says where."
            " A number, such as 57 or #57, also finds the ticket of that number: first, and"
            " whatever the other parameters say.",
            maxLength=SEARCH_MAX_CHARACTERS,
        ),
    ] = None
    opened_from: Annotated[
        InstantParameter | None,
        _text_parameter("Opened at this instant or later.", format="date-time"),
    ] = None
    opened_to: Annotated[
        InstantParameter | None, _text_parameter("Opened before this instant.", format="date-time")
    ] = None
    sort: Annotated[
        Sort,
        Field(
            description="By this, earliest first; with `-`, latest or most first. Tickets that wait"
            " for nothing come last by `waiting_since`."
        ),
    ] = "-opened_at"
    cursor: Annotated[
        Cursor | None,
        BeforeValidator(_decode),
        _text_parameter("`next` of the page before; the other parameters stay the same."),
    ] = None
    limit: Annotated[
        int,
        Field(
            ge=1,
            le=PAGE_MAX_ITEMS,
            description="So many at most; fewer where they have more than 2 MB, and then `next`.",
        ),
    ] = PAGE_DEFAULT_ITEMS


class ThreadQuery(Query):
    """Which part of a thread: its end, as far as one answer goes, unless one of these is given."""

    before: Annotated[
        Id | None, Field(description="Only messages before this one, such as `earlier`.")
    ] = None
    limit: PartLimit = PAGE_MAX_ITEMS


class HistoryQuery(Query):
    """Which part of a history: its end, as far as one answer goes, unless one of these is given."""

    before: Annotated[
        Version | None, Field(description="Only what was before this version, such as `earlier`.")
    ] = None
    limit: PartLimit = PAGE_MAX_ITEMS


class SimilarQuery(Query):
    """How many similar tickets to show."""

    limit: Annotated[int, Field(ge=1, le=SIMILAR_MAX_ITEMS)] = SIMILAR_DEFAULT_ITEMS


class SimilarTextQuery(SimilarQuery):
    """What a person is typing, and how many similar tickets to show."""

    text: Description
