"""`python -m bench.listeners HOST PORT STREAMS PATH`: many open streams, read cheaply.

Prints `ready` once every stream has said its first bytes. For each line on standard input, a word
that the next message holds, it waits until every stream has had it, and prints when the first, the
median and the last one had it: seconds of the system's monotonic clock, which is the same for all
processes.
"""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Collection

CONNECTING_AT_ONCE = 200
RECEIVE_BYTES = 65_536
# From linux/in.h. An address has 28 000 ports, and those of streams that were closed a moment ago
# are taken unless the kernel chooses when it knows the server too; so each process has its own.
IP_BIND_ADDRESS_NO_PORT = 24
WAIT_SECONDS = 20.0
# The end of a chunk and of a message: what follows is the next one.
OVERLAP_BYTES = 64


class Listeners:
    """Open streams; `heard` keeps the end of what each has received, for a word cut in two."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._server = (host, port)
        self._address = f"127.0.0.{2 + os.getpid() % 250}"
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: role=helpdesk\r\n\r\n"
        ).encode()
        self._sockets: dict[int, socket.socket] = {}
        self._epoll = select.epoll()

    def open(self, n: int) -> None:
        """Open n streams, some at a time, and wait for the first bytes of each."""
        for start in range(0, n, CONNECTING_AT_ONCE):
            opened = set()
            for _ in range(start, min(start + CONNECTING_AT_ONCE, n)):
                client = socket.socket()
                client.settimeout(WAIT_SECONDS)
                client.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                client.bind((self._address, 0))
                client.connect(self._server)
                client.sendall(self._request)
                client.setblocking(False)
                self._sockets[client.fileno()] = client
                self._epoll.register(client, select.EPOLLIN)
                opened.add(client.fileno())
            self._wait(b"data:", opened)

    def wait(self, word: bytes) -> list[float]:
        """Return when each stream had the word, the first first; raises TimeoutError."""
        return self._wait(word, self._sockets.keys())

    def _wait(self, word: bytes, wanted: Collection[int]) -> list[float]:
        at: dict[int, float] = {}
        ends: dict[int, bytes] = {}
        deadline = time.monotonic() + WAIT_SECONDS
        while len(at) < len(wanted):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(wanted) - len(at)} streams did not hear {word!r}")
            for number, _ in self._epoll.poll(1.0, 1_000):
                data = self._sockets[number].recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("a stream was ended")
                if number in wanted and number not in at:
                    data = ends.pop(number, b"") + data
                    if word in data:
                        at[number] = time.monotonic()
                    else:
                        ends[number] = data[-OVERLAP_BYTES:]
        return sorted(at.values())


def main() -> None:
    """Open the streams, then answer each word."""
    host, port, n, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    listeners = Listeners(host, port, path)
    listeners.open(n)
    print("ready", flush=True)
    for line in sys.stdin:
        times = listeners.wait(line.strip().encode())
        print(json.dumps([times[0], times[len(times) // 2], times[-1]]), flush=True)


if __name__ == "__main__":
    main()
