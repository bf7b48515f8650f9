"""A text is taken whole, however dense it is: no index of the database has a limit of its own."""

import random
from base64 import b64encode
from uuid import UUID

import pytest

from contracts.vocabulary import DESCRIPTION_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS
from tests.ticket_svc.conftest import Api

CHANCE = random.Random(16)


def _letters(first: str, last: str, between: str = "") -> str:
    """Return letters of a script, one after the other as chance has it."""
    letters = range(ord(first), ord(last) + 1)
    return between.join(chr(CHANCE.choice(letters)) for _ in range(DESCRIPTION_MAX_CHARACTERS))


DENSE = {
    "identifiers": " ".join(str(UUID(int=CHANCE.getrandbits(128))) for _ in range(300)),
    "base64": b64encode(CHANCE.randbytes(DESCRIPTION_MAX_CHARACTERS)).decode(),
    "hexadecimal words": " ".join(f"{CHANCE.getrandbits(24):06x}" for _ in range(1_500)),
    "Chinese": _letters("\u4e00", "\u9fff"),
    "Chinese, a sign a word": _letters("\u4e00", "\u9fff", " "),
    "Korean": _letters("\uac00", "\ud7a3"),
    "Greek": _letters("\u03b1", "\u03c9"),
    "emoji": _letters("\U0001f300", "\U0001f5ff"),
}


@pytest.mark.parametrize("name", DENSE)
async def test_a_dense_text_is_opened_edited_sent_and_compared(api: Api, name: str) -> None:
    text = DENSE[name][:DESCRIPTION_MAX_CHARACTERS].strip()
    ticket = await api.open(text)
    assert ticket["description"] == text
    edited = await api.edit(ticket, description=text[::-1].strip())
    assert edited.status == 200
    sent = await api.send(ticket, text[:MESSAGE_MAX_CHARACTERS].strip())
    assert sent.status == 201
    similar = await api.call("GET", "/v1/tickets/similar", params={"text": text[:300]})
    assert similar.status == 200
