"""`python -m bench.live_floor`: bare aiohttp that writes the same bytes to every open response.

What a web tier built on it cannot exceed. `POST /send` writes its body to all; prints its address.
"""

import asyncio

from aiohttp import web

from runtime.http import BACKLOG


async def _serve() -> None:
    responses: list[web.StreamResponse] = []
    forever = asyncio.Event()

    async def listen(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: hello\n\n")
        responses.append(response)
        await forever.wait()
        return response

    async def send(request: web.Request) -> web.Response:
        data = await request.read()
        for response in responses:
            await response.write(data)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/live", listen), web.post("/send", send)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await forever.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
