"""How much of a list, a thread or a history one answer holds.

A text has up to 10 000 characters of up to four bytes, and an item of history two of them: 200 are
16 MB, which take the loop from others for a tenth of a second. Whole is what web asks for, 50
tickets; much less would have whoever follows read the same rows again and again.
"""

from collections.abc import Sequence

from pydantic import BaseModel

ANSWER_MAX_BYTES = 2_000_000


def count_fitting(*columns: Sequence[BaseModel]) -> int:
    """Return how many of the first rows fit into an answer, one at least where there is any.

    A row is what stands at one place of all columns; they are equally long.
    """
    size = 0
    for n, row in enumerate(zip(*columns, strict=True)):
        size += sum(len(body.model_dump_json().encode()) for body in row)
        if n and size > ANSWER_MAX_BYTES:
            return n
    return len(columns[0])
