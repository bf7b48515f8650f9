"""Tells what the ticket service says from what somebody else puts into a queue.

RabbitMQ knows no right narrower than the default exchange, so that each login may write into any
queue. An event therefore carries a signature for each of its consumers, and a late answer of the
classifier the signed name that the ticket service gave with its request. Each consumer shares a
key with the ticket service and with nobody else: one that gives its key away lets itself be
deceived, not the others. Knows no broker, so that it serves aio-pika and pika alike.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from prometheus_client import Counter

# The first one signs with all the others, so that a key can be changed while messages wait.
Keys: TypeAlias = Sequence[bytes]

KEY_MIN_CHARACTERS = 16
# Of SHA-256's 64: nobody finds 128 bits by trying, and ids stay readable.
NAME_SIGNATURE_CHARACTERS = 32
HEADER_PREFIX = "signature-"
MISSING = "signature: is missing, so that anybody may have sent it"
WRONG = "signature: is not that of the ticket service"

REFUSED_TOTAL = Counter(
    "bus_signatures_refused_total", "Messages that the ticket service did not sign.", ["consumer"]
)


class Properties(Protocol):
    """What both libraries call a message's properties."""

    @property
    def headers(self) -> Mapping[str, Any] | None: ...

    @property
    def type(self) -> str | None: ...

    @property
    def message_id(self) -> str | None: ...


class Forged(ValueError):
    """A message that does not come from where it says; the words hold nothing of it."""


def read_keys(name: str, text: str | None) -> Keys:
    """Return the keys that a setting holds, with commas between; raises ValueError naming it."""
    keys = [key.strip() for key in (text or "").split(",") if key.strip()]
    if not keys:
        raise ValueError(f"Set {name} in the environment: the key that events are signed with.")
    if any(len(key) < KEY_MIN_CHARACTERS for key in keys):
        raise ValueError(
            f"{name} must be a random key of at least {KEY_MIN_CHARACTERS} characters; while it is "
            "changed, the new and the old one with a comma between."
        )
    return [key.encode() for key in keys]


def header(consumer: str) -> str:
    """Return the name of the header with a consumer's signatures."""
    return HEADER_PREFIX + consumer


def sign_event(keys: Mapping[str, Keys], kind: str, message_id: str, body: bytes) -> dict[str, str]:
    """Return the headers of an event: for each consumer a signature by each of its keys."""
    message = _whole("event", kind, message_id, body)
    return {
        header(consumer): ",".join(_sign(key, message) for key in own)
        for consumer, own in keys.items()
    }


def check_event(consumer: str, keys: Keys, properties: Properties, body: bytes) -> None:
    """Return where one of the keys has signed the event; raises Forged."""
    given = (properties.headers or {}).get(header(consumer))
    if not isinstance(given, str):
        raise _refused(consumer, MISSING)
    message = _whole("event", properties.type or "", properties.message_id or "", body)
    if not _is_signed(keys, message, given.split(",")):
        raise _refused(consumer, WRONG)


def sign_name(keys: Keys, queue: str, name: str) -> str:
    """Return a request's correlation id: what it asks about, and that `queue` gets the answer."""
    return f"{name}.{_sign(keys[0], _whole('answer', queue, name))[:NAME_SIGNATURE_CHARACTERS]}"


def check_name(keys: Keys, queue: str, correlation_id: str | None) -> str:
    """Return what an answer is about; raises Forged where nobody here has asked for it."""
    name, _, given = (correlation_id or "").rpartition(".")
    if not name:
        raise _refused(queue, MISSING)
    if not _is_signed(keys, _whole("answer", queue, name), [given], NAME_SIGNATURE_CHARACTERS):
        raise _refused(queue, WRONG)
    return name


def _whole(*parts: str | bytes) -> bytes:
    # With the length before each part, so that no letter can move from one to the next.
    encoded = (part.encode() if isinstance(part, str) else part for part in parts)
    return b"".join(len(part).to_bytes(8) + part for part in encoded)


def _sign(key: bytes, message: bytes) -> str:
    return hmac.digest(key, message, "sha256").hex()


def _is_signed(keys: Keys, message: bytes, given: Sequence[str], length: int | None = None) -> bool:
    # Bytes: a text that is not ASCII would be an error, and a stranger wrote it.
    expected = [_sign(key, message)[:length].encode() for key in keys]
    return any(
        hmac.compare_digest(one, other.encode(errors="replace"))
        for one in expected
        for other in given
    )


def _refused(consumer: str, reason: str) -> Forged:
    REFUSED_TOTAL.labels(consumer).inc()
    return Forged(reason)
