"""Where the application and a request keep what handlers need."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from contracts.vocabulary import Role

if TYPE_CHECKING:
    from bus.consumer import BatchConsumer
    from bus.http import Gate
    from ticket_svc.database import Pool
    from ticket_svc.relay import Relay

POOL: web.AppKey["Pool"] = web.AppKey("POOL")
RELAY: web.AppKey["Relay"] = web.AppKey("RELAY")
CONSUMER: web.AppKey["BatchConsumer[Any]"] = web.AppKey("CONSUMER")
GATE: web.AppKey["Gate"] = web.AppKey("GATE")
API_TOKEN = web.AppKey("API_TOKEN", str)
OPENAPI = web.AppKey("OPENAPI", str)
ROLE = web.RequestKey("ROLE", Role)
