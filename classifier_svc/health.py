"""Tells operators and orchestrators how the process is, from a thread of its own."""

import json
from collections.abc import Callable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from bus.pika_server import PikaServer

_METRICS = make_wsgi_app()
# As `runtime.heads.SERVER`, which would bring aiohttp.
ServerHandler.server_software = "campus-helpdesk"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    server_version, sys_version = ServerHandler.server_software, ""

    def log_message(self, *_: object) -> None:
        pass


def serve(host: str, port: int, server: PikaServer) -> None:
    """Answer `/health/live`, `/health/ready` and `/metrics` until the process ends."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        match environ["PATH_INFO"]:
            case "/health/live":
                status, body = "200 OK", {"status": "live"}
            case "/health/ready":
                status, body = _ready(server)
            case _:
                return _METRICS(environ, start)
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    health = make_server(host, port, answer, server_class=_Server, handler_class=_Silent)
    Thread(target=health.serve_forever, daemon=True).start()


def _ready(server: PikaServer) -> tuple[str, dict[str, Any]]:
    missing = {} if server.is_connected else {"broker": server.link.reason}
    # What waits in one queue leaves the others as they are.
    degraded = server.waits
    body: dict[str, Any] = {
        "status": "unready" if missing else "ready",
        "missing": [*missing],
        "degraded": [*degraded],
    }
    if reasons := missing | degraded:
        body["reasons"] = reasons
    return "503 Service Unavailable" if missing else "200 OK", body
