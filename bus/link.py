"""Why a session with the broker is away, whichever library keeps it.

Apart from `bus.connection`, which hands it on: where pika serves, no aio-pika is installed.
"""

from dataclasses import dataclass


@dataclass
class Link:
    """Why there is no session, as the broker or the network said; holds no secret."""

    reason: str = "not connected yet"
