"""Why a session with the broker is away, whichever library keeps it.

Apart from `bus.connection`: where pika serves, no aio-pika is installed.
"""

from dataclasses import dataclass

# RabbitMQ tells it only to who publishes, and the AMQP client of `bus.connection` keeps to itself
# which of them it is.
BLOCKED = "the broker takes no messages just now: it is low on memory or on disk"


@dataclass
class Link:
    """Why there is no session, as the broker or the network said; holds no secret."""

    reason: str = "not connected yet"
