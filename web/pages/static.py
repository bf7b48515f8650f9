"""Files with their content's hash in the name."""

from aiohttp import web

from web.keys import ASSETS

A_YEAR = "public, max-age=31536000, immutable"


async def show(request: web.Request) -> web.Response:
    """Return a file, compressed where the browser takes that."""
    asset = request.app[ASSETS].find(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    headers = {
        "Content-Type": asset.content_type,
        "Cache-Control": A_YEAR,
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=asset.packed, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=asset.content, headers=headers)
