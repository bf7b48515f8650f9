"""What a dead letter is, why it may have died, and how it is sent again; no I/O here.

Its id is the same in the log of the service that refused it and in the operator's commands.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from bus.rpc import RpcError, decode_reply, decode_request, reasons
from bus.signatures import MISSING, header
from contracts.messages import (
    Classification,
    ClassifyRequest,
    CorrectionsRequest,
    Embedding,
    EmbedRequest,
    Event,
    description_of,
    ticket_of,
)
from contracts.reports import ActiveRequest, ResolutionRequest, UnclosedRequest
from contracts.topology import (
    ANALYTICS_TICKETS,
    CLASSIFIER_CORRECTIONS,
    DURABLE_QUEUES,
    RPC_CLASSIFY,
    RPC_CORRECTIONS,
    RPC_EMBED,
    RPC_QUEUES,
    RPC_REPORT_ACTIVE,
    RPC_REPORT_RESOLUTION,
    RPC_REPORT_UNCLOSED,
    TICKET_CATEGORISED,
    TICKET_EMBEDDED,
)

# 40 bits: in a full dead-letter queue (100 000) a chance of 1 in 200 that any two are alike.
ID_BYTES = 5
# What RabbitMQ writes itself; kept, it would tell of the first death at the second.
_BROKER_HEADERS = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-", "x-acquired-")
# What would send it to other queues too.
_SENDER_HEADERS = ("CC", "BCC")


def letter_id(queue: str, message_id: str | None, correlation_id: str | None, body: bytes) -> str:
    """Return the id of what `queue` refused; copies of a message have the same."""
    names = json.dumps([queue, message_id or "", correlation_id or ""])
    return hashlib.blake2b(names.encode() + body, digest_size=ID_BYTES).hexdigest()


def log_name(queue: str, message_id: str | None, correlation_id: str | None, body: bytes) -> str:
    """Return how a service's log calls a message that it refuses."""
    letter = letter_id(queue, message_id, correlation_id, body)
    return f"{queue}: dead letter {letter} (message {message_id or correlation_id or '-'})"


@dataclass(frozen=True)
class Letter:
    """A message that `queue` refused; `tag` acknowledges it in the session that got it."""

    queue: str
    tag: int
    properties: Any
    body: bytes

    @property
    def id(self) -> str:
        """Return what an operator calls it."""
        p = self.properties
        return letter_id(self.queue, p.message_id, p.correlation_id, self.body)

    @property
    def headers(self) -> dict[str, Any]:
        """Return its headers, RabbitMQ's among them."""
        return self.properties.headers or {}

    @property
    def death(self) -> str:
        """Return RabbitMQ's word for why it died, and how often it did."""
        reason = self.headers.get("x-first-death-reason", "unknown")
        count = sum(death.get("count", 1) for death in self.headers.get("x-death", []))
        return f"{reason} × {count}" if count > 1 else str(reason)

    @property
    def died_at(self) -> datetime | None:
        """Return when it died last, to the second, UTC."""
        times = [death.get("time") for death in self.headers.get("x-death", [])]
        return max((time for time in times if isinstance(time, datetime)), default=None)

    @property
    def service(self) -> str:
        """Return the service whose log tells the rest."""
        return _READERS[self.queue].service

    def misunderstanding(self) -> str | None:
        """Return what the contracts of its queue cannot understand, None where they can."""
        try:
            _READERS[self.queue].decode(self)
        except ValidationError as error:
            return reasons(error)
        except (RpcError, ValueError) as error:
            return str(error)
        return None

    def why_not_again(self) -> str | None:
        """Return why sending it again would be for nobody, None where it makes sense.

        Only a caller with a durable reply queue (the outbox) can still be waiting.
        """
        if self.queue not in RPC_QUEUES:
            return None
        reply_to = self.properties.reply_to
        if not reply_to:
            return "it says nowhere to send the answer to"
        return None if reply_to in DURABLE_QUEUES else "its caller has long stopped waiting"

    def headers_again(self) -> dict[str, Any]:
        """Return the headers with which it is sent again."""
        return {
            name: value
            for name, value in self.headers.items()
            if not name.startswith(_BROKER_HEADERS) and name not in _SENDER_HEADERS
        }


class _Reader(NamedTuple):
    service: str
    decode: Callable[[Letter], object]


def _event(consumer: str, letter: Letter) -> object:
    # Whether it is the right one, only who has the key can tell, and its log does.
    if header(consumer) not in letter.headers:
        raise ValueError(MISSING)
    return Event.model_validate_json(letter.body)


def _asked_about(letter: Letter) -> str:
    name, _, _ = (letter.properties.correlation_id or "").rpartition(".")
    if not name:
        raise ValueError(MISSING)
    return name


def _category(letter: Letter) -> object:
    ticket_of(_asked_about(letter))
    return decode_reply(letter.body, Classification)


def _vector(letter: Letter) -> object:
    description_of(_asked_about(letter))
    return decode_reply(letter.body, Embedding)


def _request(request_type: type[BaseModel], letter: Letter) -> object:
    if not letter.properties.reply_to:
        raise ValueError("reply_to: is missing, so that nobody can be answered")
    return decode_request(letter.body, request_type)


_READERS: Final = {
    ANALYTICS_TICKETS: _Reader("analytics_svc", partial(_event, "analytics_svc")),
    CLASSIFIER_CORRECTIONS: _Reader("classifier_svc", partial(_event, "classifier_svc")),
    TICKET_CATEGORISED: _Reader("ticket_svc", _category),
    TICKET_EMBEDDED: _Reader("ticket_svc", _vector),
    RPC_CLASSIFY: _Reader("classifier_svc", partial(_request, ClassifyRequest)),
    RPC_EMBED: _Reader("classifier_svc", partial(_request, EmbedRequest)),
    RPC_CORRECTIONS: _Reader("classifier_svc", partial(_request, CorrectionsRequest)),
    RPC_REPORT_UNCLOSED: _Reader("analytics_svc", partial(_request, UnclosedRequest)),
    RPC_REPORT_RESOLUTION: _Reader("analytics_svc", partial(_request, ResolutionRequest)),
    RPC_REPORT_ACTIVE: _Reader("analytics_svc", partial(_request, ActiveRequest)),
}
