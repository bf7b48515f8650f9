"""A load balancer as operators put one in front of two replicas: no retry, only health checks."""

import asyncio
from itertools import count

import aiohttp

from tests.cable import Cable

# A replica that drains must be left within DRAIN_SECONDS, which the tests set to 1.
CHECK_SECONDS = 0.1


class Balancer(Cable):
    """Gives each new connection to the next replica that said last that it is ready."""

    def __init__(self, *ports: int) -> None:
        super().__init__("http://127.0.0.1")
        self._ports = ports
        self._ready: list[int] = []
        self._turn = count()

    async def check(self) -> None:
        """Ask every replica for its health until cancelled."""
        timeout = aiohttp.ClientTimeout(total=1)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                healthy = await asyncio.gather(*(_is_ready(session, p) for p in self._ports))
                self._ready = [p for p, ok in zip(self._ports, healthy, strict=True) if ok]
                await asyncio.sleep(CHECK_SECONDS)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the replica whose turn it is; raises OSError where none is ready."""
        if not self._ready:
            raise ConnectionRefusedError
        port = self._ready[next(self._turn) % len(self._ready)]
        return await asyncio.open_connection("127.0.0.1", port)


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/health/ready") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
