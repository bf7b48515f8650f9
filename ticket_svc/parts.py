"""How much of a list, a thread or a history one answer holds.

A text has up to 10 000 characters of up to four bytes, and an item of history two of them: 200 are
16 MB, which take the loop from others for a tenth of a second. Whole is what web asks for, 50
tickets; much less would have whoever follows read the same rows again and again.
"""

from collections.abc import Sequence
from json.encoder import encode_basestring

from pydantic import BaseModel

ANSWER_MAX_BYTES = 2_000_000
# Of a row, beside its texts: the names of its fields, times and numbers.
ROW_BYTES = 500


def count_fitting(*columns: Sequence[BaseModel]) -> int:
    """Return how many of the first rows fit into an answer, one at least where there is any.

    A row is what stands at one place of all columns; they are equally long.
    """
    size = 0
    for n, row in enumerate(zip(*columns, strict=True)):
        size += ROW_BYTES + sum(map(_text_bytes, row))
        if n and size > ANSWER_MAX_BYTES:
            return n
    return len(columns[0])


def _text_bytes(body: BaseModel) -> int:
    """Return how many bytes its texts take in JSON; a tenth of the work of writing all of it."""
    texts = (value for value in vars(body).values() if isinstance(value, str))
    return sum(len(encode_basestring(text).encode()) for text in texts)
