"""Files with their content's hash in the name."""

from aiohttp import hdrs, web

from web.accept import read_header
from web.compression import Coding, choose_coding
from web.keys import ASSETS

A_YEAR = "public, max-age=31536000, immutable"


async def show(request: web.Request) -> web.Response:
    """Return a file, compressed as the browser likes it best."""
    asset = request.app[ASSETS].find(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    coding = choose_coding(read_header(request, hdrs.ACCEPT_ENCODING))
    headers = {
        "Content-Type": asset.content_type,
        "Cache-Control": A_YEAR,
        "Vary": "Accept-Encoding",
    }
    if coding is not Coding.PLAIN:
        headers["Content-Encoding"] = coding
    return web.Response(body=asset.bodies[coding], headers=headers)
