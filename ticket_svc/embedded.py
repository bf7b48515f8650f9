"""Keeps the vectors complete: takes the classifier's late answers, and asks for what is missing.

Vectors are missing where the database was migrated or restored, where an answer was lost, and all
of them where the classifier came with another model.
"""

import asyncio
import logging
from functools import partial

from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import Counter

from bus.consumer import BatchConsumer
from bus.rpc import RpcError, decode_reply
from bus.rpc_client import RpcClient
from bus.signatures import Keys, check_name
from contracts.messages import Embedding, EmbedRequest, description_of
from contracts.topology import RPC_EMBED, TICKET_EMBEDDED
from runtime.postgres import Database, DatabaseAway
from ticket_svc import embeddings
from ticket_svc.database import patient_transaction
from ticket_svc.embeddings import Description, Vector
from ticket_svc.relay import Relay

log = logging.getLogger(__name__)

# Few, so that who types and waits stands behind few of them in the classifier's queue.
ASKED_AT_ONCE = 32
LOOK_SECONDS = 10.0
# The classifier remembers its vector, so that looking costs it nothing.
LOOK = EmbedRequest(text="Which model answers?")

STORED_TOTAL = Counter("ticket_vectors_stored_total", "Vectors of descriptions that were stored.")


def make_consumer(pool: Database, keys: Keys) -> BatchConsumer[Description]:
    """Return the consumer; what comes twice, too late or for a closed ticket changes nothing."""

    async def take(descriptions: list[Description]) -> None:
        async with patient_transaction(pool) as connection:
            stored = await embeddings.store_vectors(connection, descriptions)
        STORED_TOTAL.inc(stored)

    return BatchConsumer(TICKET_EMBEDDED, partial(decode, keys), take, transient=(DatabaseAway,))


def decode(keys: Keys, message: AbstractIncomingMessage) -> Description:
    """Return the vector; raises ValueError where there is none, or nobody asked for it."""
    ticket_id, version = description_of(check_name(keys, TICKET_EMBEDDED, message.correlation_id))
    try:
        vector = Vector.of(decode_reply(message.body, Embedding))
    except RpcError as error:
        raise ValueError(f"ticket {ticket_id}: {error.code}: {error}") from None
    return Description(ticket_id, version, vector)


async def ask_for_missing(pool: Database, relay: Relay, rpc: RpcClient) -> None:
    """Ask for each missing vector, once for each model that answers, until cancelled.

    The classifier takes requests in their order: when it answers here, it has answered what was
    asked before, so that requests never pile up in front of a classifier that is slow or away.
    """
    model, after_id = "", 0
    while True:
        try:
            answering = (await rpc.call(RPC_EMBED, LOOK, Embedding, LOOK_SECONDS)).model
            if answering != model:
                model, after_id = answering, 0
            async with pool.acquire() as connection:
                last = await embeddings.request_missing(connection, model, after_id, ASKED_AT_ONCE)
            if last is not None:
                after_id = last
                relay.wake()
                continue
        except (RpcError, DatabaseAway) as error:
            log.debug("vectors: waiting, %r", error)
        await asyncio.sleep(LOOK_SECONDS)
