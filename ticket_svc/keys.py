"""Where the application and a request keep what handlers need."""

from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from contracts.vocabulary import Role

if TYPE_CHECKING:
    from bus.link import Link
    from bus.rpc_client import RpcClient
    from runtime.http import Gate
    from runtime.limits import Buckets
    from runtime.postgres import Database
    from ticket_svc.relay import Relay


class Session(Protocol):
    """Something that lives on a connection to the broker."""

    link: "Link"

    @property
    def is_connected(self) -> bool:
        """Tell whether it works now; `link` says why not."""


POOL: web.AppKey["Database"] = web.AppKey("POOL")
RELAY: web.AppKey["Relay"] = web.AppKey("RELAY")
RPC: web.AppKey["RpcClient"] = web.AppKey("RPC")
SESSIONS: web.AppKey["tuple[Session, ...]"] = web.AppKey("SESSIONS")
GATE: web.AppKey["Gate"] = web.AppKey("GATE")
LIMITS: web.AppKey["dict[str, Buckets]"] = web.AppKey("LIMITS")
API_TOKEN = web.AppKey("API_TOKEN", str)
OPENAPI = web.AppKey("OPENAPI", str)
ROLE = web.RequestKey("ROLE", Role)
