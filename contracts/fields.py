"""Field types that the bodies share: cleaned text and instants."""

import re
from datetime import UTC, datetime
from typing import Annotated

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.types import AwareDatetime
from pydantic_core import PydanticCustomError

from contracts.text import is_blank
from contracts.vocabulary import (
    DESCRIPTION_MAX_CHARACTERS,
    EVERY_CATEGORY,
    MESSAGE_MAX_CHARACTERS,
    REPLY_TITLE_MAX_CHARACTERS,
)

# Everything a person can type is welcome (any script, emoji, right-to-left); these can only be
# sent by a program, and PostgreSQL or a terminal would choke on them.
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# The same rule for readers of the OpenAPI document: no control character, and something to read.
TEXT_PATTERN = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]*$"
_LINE_END = re.compile(r"[\n\r\u2028\u2029]")
_LINE_PATTERN = TEXT_PATTERN.replace("[^", r"[^\n\r\u2028\u2029")


def clean_text(value: str, max_characters: int) -> str:
    """Return the text trimmed and with `\\n` as its only line end.

    Raises PydanticCustomError where nothing that a reader sees, too much, or a control character
    is left.
    """
    if found := _NOT_TEXT.search(value):
        raise PydanticCustomError(
            "control_character",
            "must not contain control characters (found U+{code})",
            {"code": f"{ord(found.group()):04X}"},
        )
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if is_blank(text):
        raise PydanticCustomError("blank", "must not be empty")
    if (over := len(text) - max_characters) > 0:
        raise PydanticCustomError(
            "too_long",
            f"is {{over}} character{'s' if over > 1 else ''} too long ({{n}}; at most {{max}})",
            {"over": over, "n": len(text), "max": max_characters},
        )
    return text


def _cleaned(max_characters: int) -> AfterValidator:
    return AfterValidator(lambda value: clean_text(value, max_characters))


def _require_line(value: str) -> str:
    if _LINE_END.search(value):
        raise PydanticCustomError("several_lines", "must be one line")
    return value


def _text_schema(max_characters: int, pattern: str = TEXT_PATTERN) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": max_characters,
            "pattern": pattern,
            "description": "Trimmed; a reader must see something of it; no control characters.",
        }
    )


Description = Annotated[
    str, _cleaned(DESCRIPTION_MAX_CHARACTERS), _text_schema(DESCRIPTION_MAX_CHARACTERS)
]
MessageBody = Annotated[str, _cleaned(MESSAGE_MAX_CHARACTERS), _text_schema(MESSAGE_MAX_CHARACTERS)]
ReplyTitle = Annotated[
    str,
    AfterValidator(_require_line),
    _cleaned(REPLY_TITLE_MAX_CHARACTERS),
    _text_schema(REPLY_TITLE_MAX_CHARACTERS, _LINE_PATTERN),
]


def _require_category(value: str) -> str:
    if value not in EVERY_CATEGORY:
        raise PydanticCustomError(
            "category", "must be one of {known}", {"known": ", ".join(EVERY_CATEGORY)}
        )
    return value


# Which tickets are wanted: those of a category, or `none`, those without one.
CategoryOrNone = Annotated[
    str,
    AfterValidator(_require_category),
    WithJsonSchema({"type": "string", "enum": list(EVERY_CATEGORY)}),
]


def format_instant(value: datetime) -> str:
    """Return RFC 3339 in UTC, always with six decimals, so that texts sort like times."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Instant = Annotated[
    AwareDatetime,
    PlainSerializer(format_instant, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

# A bigint key that JavaScript can hold exactly (2^53 - 1).
ID_MAX = 9_007_199_254_740_991
Id = Annotated[int, Field(ge=1, le=ID_MAX)]
_AROUND = r"[\s\p{Default_Ignorable_Code_Point}]*"
_TICKET_NUMBER = regex.compile(rf"{_AROUND}(?:[#＃]{_AROUND})?(\d{{1,19}}){_AROUND}")


def find_ticket_number(text: str) -> int | None:
    """Return which ticket a text such as "57" or "#57" names, in any script's digits.

    It may be larger than any id is.
    """
    found = _TICKET_NUMBER.fullmatch(text)
    return int(found[1]) or None if found else None


# A version is PostgreSQL's integer.
VERSION_MAX = 2_147_483_647
Version = Annotated[int, Field(ge=1, le=VERSION_MAX)]


class Body(BaseModel):
    """A body that arrives from outside: unknown fields and coerced types are errors."""

    # Hidden: what people wrote stays out of the text of an error, and so out of logs.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Record(BaseModel):
    """A body that we produce: readers ignore fields that they don't know yet."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
