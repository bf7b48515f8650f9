"""Takes the classifier's late answers, for tickets that were stored without a category."""

from functools import partial
from typing import NamedTuple

from aio_pika.abc import AbstractIncomingMessage

from bus.consumer import BatchConsumer
from bus.rpc import RpcError, decode_reply
from bus.signatures import Keys, check_name
from contracts.messages import Classification, ticket_of
from contracts.topology import TICKET_CATEGORISED
from contracts.vocabulary import Category
from runtime.postgres import Database, DatabaseAway
from ticket_svc import tickets
from ticket_svc.relay import Relay


class Answer(NamedTuple):
    """What the classifier says about a ticket."""

    ticket_id: int
    category: Category


def make_consumer(pool: Database, relay: Relay, keys: Keys) -> BatchConsumer[Answer]:
    """Return the consumer; an answer that comes twice, or after helpdesk's, changes nothing."""

    async def take(answers: list[Answer]) -> None:
        for answer in answers:
            await tickets.categorise_ticket(pool, answer.ticket_id, answer.category)
        relay.wake()

    return BatchConsumer(TICKET_CATEGORISED, partial(decode, keys), take, transient=(DatabaseAway,))


def decode(keys: Keys, message: AbstractIncomingMessage) -> Answer:
    """Return the answer; raises ValueError where there is none, or nobody asked for it."""
    ticket_id = ticket_of(check_name(keys, TICKET_CATEGORISED, message.correlation_id))
    try:
        return Answer(ticket_id, decode_reply(message.body, Classification).category)
    except RpcError as error:
        raise ValueError(f"ticket {ticket_id}: {error.code}: {error}") from None
