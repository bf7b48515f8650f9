"""Says in a sentence that a port cannot be had, to all services; imports no server."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from socket import gaierror

_NO_PORT = (EACCES, EADDRINUSE, EADDRNOTAVAIL)


class CannotListen(Exception):
    """The address is taken, forbidden, or none of this machine's; for operators."""


@contextmanager
def listening(host: str, port: int) -> Iterator[None]:
    """Raise CannotListen where what is started within cannot have its address."""
    try:
        yield
    except OSError as error:
        if isinstance(error, gaierror) or error.errno in _NO_PORT:
            raise CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
        raise
