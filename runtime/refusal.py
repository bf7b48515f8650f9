"""The last answer of a connection, to bytes that are no request or too many."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from runtime.heads import LINGER_SECONDS, QUIET_SECONDS, SERVER, Answer


class Refusal(web.Response):
    """An answer that waits until the other side has stopped sending.

    Closed with unread bytes, the kernel resets a connection, and the answer may be lost.
    `heard_at` returns when something came last, in the loop's seconds.
    """

    def __init__(self, status: HTTPStatus, answer: Answer, heard_at: Callable[[], float]) -> None:
        super().__init__(
            status=status,
            text=answer.text,
            content_type=answer.content_type,
            headers={hdrs.SERVER: SERVER, hdrs.CACHE_CONTROL: "no-store"} | dict(answer.headers),
        )
        self.force_close()
        self._heard_at = heard_at

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the end, and read on for a moment."""
        await super().write_eof(data)
        loop = asyncio.get_running_loop()
        end = loop.time() + LINGER_SECONDS
        # Silence is no event that could be waited for.
        while loop.time() < min(end, self._heard_at() + QUIET_SECONDS):  # noqa: ASYNC110
            await asyncio.sleep(QUIET_SECONDS)
