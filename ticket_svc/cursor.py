"""The keyset cursor: where a page ended, opaque to callers and checked when it comes back."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from contracts.fields import ID_MAX

# What a ticket is sorted by: an instant, or how many; None where it has none.
Value: TypeAlias = datetime | int | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"(-?[a-z_]+) (-?\d{1,18}|none) (\d{1,16})", re.ASCII)
_COUNTS = ("-affected",)


class Cursor(NamedTuple):
    """The last ticket of a page: its value of the sorted column, and its id."""

    sort: str
    value: Value
    ticket_id: int

    def encode(self) -> str:
        """Return the cursor as base64url text."""
        match self.value:
            case datetime():
                value = str((self.value - _EPOCH) // timedelta(microseconds=1))
            case int():
                value = str(self.value)
            case None:
                value = "none"
        text = f"{self.sort} {value} {self.ticket_id}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """Return the cursor of a text that `Cursor.encode` made; raises ValueError for any other."""
    try:
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        match = _TEXT.fullmatch(decoded)
        if match is None or int(match[3]) > ID_MAX:
            raise ValueError
        return Cursor(match[1], _decode_value(match[1], match[2]), int(match[3]))
    except (ValueError, OverflowError, binascii.Error):
        raise ValueError("is not a cursor that this service gave") from None


def _decode_value(sort: str, text: str) -> Value:
    if text == "none":
        return None
    return int(text) if sort in _COUNTS else _EPOCH + timedelta(microseconds=int(text))
