"""Messages as the ticket service signs them, with the keys of this run."""

import os
from typing import Any

import aio_pika

from bus.signatures import Keys, read_keys, sign_event, sign_name
from ticket_svc.settings import ANSWERS_KEY, EVENTS_KEYS, SigningKeys

MESSAGE_ID = "1.1"


def signing_keys() -> SigningKeys:
    """Return what the ticket service has."""
    events = {consumer: keys_of(consumer) for consumer in EVENTS_KEYS}
    return SigningKeys(events, read_keys(ANSWERS_KEY, os.environ[ANSWERS_KEY]))


def keys_of(consumer: str) -> Keys:
    """Return what one consumer of events has."""
    name = EVENTS_KEYS[consumer]
    return read_keys(name, os.environ[name])


def signatures(
    body: bytes, kind: str = "ticket.modified", message_id: str = MESSAGE_ID
) -> dict[str, Any]:
    """Return an event's headers."""
    return {**sign_event(signing_keys().events, kind, message_id, body)}


def signed(
    body: bytes, kind: str = "ticket.modified", message_id: str = MESSAGE_ID, **properties: Any
) -> aio_pika.Message:
    """Return an event."""
    headers = signatures(body, kind, message_id)
    return aio_pika.Message(body, type=kind, message_id=message_id, headers=headers, **properties)


def asked(queue: str, name: str) -> str:
    """Return the correlation id with which the ticket service asks, to be answered in `queue`."""
    return sign_name(signing_keys().answers, queue, name)
