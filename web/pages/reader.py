"""Who reads: asked by pages that come back from a browser's memory. Changes nothing."""

from aiohttp import web

from web.preferences import reader
from web.role import find_role


async def show(request: web.Request) -> web.Response:
    """Return for whom a page would be made now."""
    return web.Response(
        text=reader(find_role(request)), headers={"Cache-Control": "private, no-store"}
    )
