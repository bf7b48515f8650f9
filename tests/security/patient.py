"""A service with limits that a test can wait for, and callers that send and read as they like."""

import asyncio
import json
import re
import select
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from deploy.local.names import free_port

SERVICE = """
import asyncio, json, sys
from contextlib import aclosing
from aiohttp import web
from prometheus_client import generate_latest
from runtime import buffers, connections, heads, http

for name, value in json.loads(sys.argv[2]).items():
    module = next(one for one in (buffers, connections, heads) if hasattr(one, name))
    setattr(module, name, value)

async def large(request):
    return web.Response(body=b"x" * int(request.query["bytes"]))

held = 0

async def hold(request):
    global held
    await request.read()
    held += 1
    await asyncio.sleep(60)

exports = 0

async def batches():
    global exports
    exports += 1
    try:
        for _ in range(1_000):
            yield b"x" * 100_000
    finally:
        exports -= 1

async def export(request):
    response = web.StreamResponse()
    await response.prepare(request)
    async with aclosing(batches()) as all:
        async for batch in all:
            await response.write(batch)
    return response

async def metrics(request):
    open = len(request.protocol._manager.connections)
    own = b"exports %d\\nopen %d\\nheld %d\\n" % (exports, open, held)
    return web.Response(body=generate_latest() + own)

app = web.Application(handler_args=http.HANDLER_ARGS)
app.add_routes([web.get("/large", large), web.get("/export", export), web.get("/", metrics)])
app.add_routes([web.get("/hold", hold), web.post("/hold", hold)])

def find_client(request):
    # Asks for the application, as `web` does.
    assert request.app
    return request.headers.get("X-Client") or request.remote

http.run(
    app,
    http.Gate(10, 10, ()),
    host="127.0.0.1",
    port=int(sys.argv[1]),
    drain_s=0,
    find_caller=find_client,
)
"""


class Patient(NamedTuple):
    """A running service: where it listens, and its process."""

    port: int
    pid: int

    def memory(self) -> int:
        """Return how many bytes of memory the process has."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    async def figure(self, name: str) -> float:
        """Return one of the figures that the service shows, as another caller sees it."""
        text = await asyncio.to_thread(self._metrics)
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def _metrics(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            return str(answer.read().decode())

    async def until(self, name: str, value: float, most: float | None = None) -> None:
        """Wait until a figure has a value, or one from `value` to `most`."""
        async with asyncio.timeout(20):
            while not value <= await self.figure(name) <= (value if most is None else most):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def patient(**limits: Any) -> AsyncIterator[Patient]:
    """Run the service with some limits of `runtime` changed."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(port), json.dumps(limits)
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield Patient(port, process.pid)
    finally:
        process.terminate()
        await process.wait()


class Caller:
    """A socket that reads only when it is told to."""

    def __init__(self, port: int, sent: bytes = b"", address: str = "127.0.0.1") -> None:
        self.socket = socket.socket()
        self.socket.bind((address, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(sent)
        self.socket.setblocking(False)
        self.heard = b""

    @property
    def is_cut(self) -> bool:
        """Tell whether the other side has ended the connection, without reading from it."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    async def until_cut(self) -> None:
        async with asyncio.timeout(20):
            while not self.is_cut:
                await asyncio.sleep(0.05)

    async def read(self, at_least: int = 1, *, pause_s: float = 0.0) -> bytes:
        """Read until so many bytes have been heard in all."""
        async with asyncio.timeout(30):
            while len(self.heard) < at_least:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 65_536)
                assert data, f"ended after {len(self.heard)} bytes"
                self.heard += data
                await asyncio.sleep(pause_s)
        return self.heard

    def close(self) -> None:
        self.socket.close()


def get(path: str, *lines: bytes) -> bytes:
    """Return a request."""
    return b"".join([f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode(), *lines, b"\r\n"])


def post(size: int, *lines: bytes) -> bytes:
    """Return the head of a request whose body has so many bytes."""
    head = (b"POST /hold HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: %d" % size, *lines)
    return b"".join([line + b"\r\n" for line in (*head, b"")])
