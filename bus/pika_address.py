"""Hands an AMQP address to pika. Its own reading of one differs from aio-pika's."""

import pika

from contracts.addresses import Address


def parameters(address: Address, name: str) -> pika.ConnectionParameters:
    """Return what pika needs to connect; `name` is what an operator reads. Raises OSError."""
    tls = address.tls()
    return pika.ConnectionParameters(
        address.host,
        address.port,
        address.name,
        pika.PlainCredentials(address.user, address.password),
        ssl_options=pika.SSLOptions(tls, address.host) if tls else None,
        client_properties={"connection_name": name},
    )
