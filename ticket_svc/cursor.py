"""The keyset cursor: where a page ended, opaque to callers and checked when it comes back."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from contracts.fields import ID_MAX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"(-?[a-z_]+) (-?\d{1,18}) (\d{1,16})", re.ASCII)


class Cursor(NamedTuple):
    """The last ticket of a page: its value of the sorted column, and its id."""

    sort: str
    at: datetime
    ticket_id: int

    def encode(self) -> str:
        """Return the cursor as base64url text."""
        microseconds = (self.at - _EPOCH) // timedelta(microseconds=1)
        text = f"{self.sort} {microseconds} {self.ticket_id}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """Return the cursor of a text that `Cursor.encode` made; raises ValueError for any other."""
    try:
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        match = _TEXT.fullmatch(decoded)
        if match is None or int(match[3]) > ID_MAX:
            raise ValueError
        cursor = Cursor(match[1], _EPOCH + timedelta(microseconds=int(match[2])), int(match[3]))
    except (ValueError, OverflowError, binascii.Error):
        raise ValueError("is not a cursor that this service gave") from None
    return cursor
