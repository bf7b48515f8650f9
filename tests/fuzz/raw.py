"""HTTP as bytes, to send what no client library would."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

STREAM = "text/event-stream"
LIMIT_BYTES = 512 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the server only closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


def request(
    method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes | None = None
) -> bytes:
    """Return a request of one connection; `Content-Length` is added unless it is there."""
    lines = {b"Host": b"127.0.0.1", b"Connection": b"close"} | headers
    if body is not None and not {b"Content-Length", b"Transfer-Encoding"} & set(lines):
        lines[b"Content-Length"] = b"%d" % len(body)
    head = b"".join(b"%b: %b\r\n" % line for line in lines.items())
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, head, body or b"")


async def exchange(url: str, sent: bytes) -> Answer:
    """Send the bytes and return the answer; of an endless stream only its beginning."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(
        address.hostname, address.port, limit=LIMIT_BYTES
    )
    try:
        writer.write(sent)
        return await _read(reader)
    except ConnectionError:
        return Answer(0, {}, b"")
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Answer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return Answer(0, {}, b"")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    is_endless = headers.get("content-type", "").startswith(STREAM)
    body = b"" if is_endless else await reader.read()
    return Answer(int(first.split()[1]), headers, body)
