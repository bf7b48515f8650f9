"""A cable between a service and a server that a test can cut and mend, and speak into."""

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit, urlunsplit

# RabbitMQ's Connection.Blocked and Connection.Unblocked. A true alarm would stop a whole node,
# which other tests use meanwhile.
BLOCKED = b"\x01\0\0\0\0\0\x12\0\x0a\0\x3c\x0dlow on memory\xce"
UNBLOCKED = b"\x01\0\0\0\0\0\x04\0\x0a\0\x3d\xce"


class Cable:
    """Forwards TCP to one server; while it is cut, connections end and new ones are refused."""

    def __init__(self, url: str, *, own_port: int = 0) -> None:
        self._url = url
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._silent: list[asyncio.Event] = []
        self._to_lose = 0
        self.port = own_port

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    @property
    def url(self) -> str:
        """Return the server's URL by way of here, once it is mended."""
        return self.through(self._url)

    async def mend(self) -> None:
        """Forward connections from now on."""
        if self._server and self._server.is_serving():
            return
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection in the middle of whatever it carries."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for flowing in self._silent:
            flowing.set()  # to nobody
        await self._server.wait_closed()
        while self._writers:
            await asyncio.sleep(0.01)

    def hold(self) -> None:
        """Carry nothing from now on, with every connection left open: the server seems to hang."""
        self._flowing.clear()

    def silence(self) -> None:
        """Carry nothing any more by the connections of now; later ones work."""
        self._flowing.clear()
        self._silent.append(self._flowing)
        self._flowing = asyncio.Event()
        self._flowing.set()

    def release(self) -> None:
        """Carry again what was held and what follows."""
        self._flowing.set()

    def say(self, frame: bytes) -> None:
        """Bring those who are connected something that the server has not said."""
        for writer in self._ends:
            writer.write(frame)

    def lose(self, answers: int) -> None:
        """End the next connections just when the server answers: it is done, nobody hears so."""
        self._to_lose = answers

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server; raises OSError where nobody is there."""
        server = urlsplit(self._url)
        return await asyncio.open_connection(server.hostname, server.port)

    def through(self, url: str) -> str:
        """Return the URL of another thing at the same server, by way of here."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await self.open()
        except OSError:  # nobody is there
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        self._ends.add(writer)
        flowing = self._flowing
        try:
            await asyncio.gather(
                self._pump(reader, back, flowing), self._pump(there, writer, flowing, answers=True)
            )
        finally:
            self._writers -= {writer, back}
            self._ends.discard(writer)
            for end in (writer, back):
                end.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flowing: asyncio.Event,
        *,
        answers: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await flowing.wait()
                if answers and self._to_lose:
                    self._to_lose -= 1
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        writer.close()
