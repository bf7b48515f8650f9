"""Where an application keeps the parts that pages use; what uses pages has its key beside it."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from bus.rpc_client import RpcClient
    from runtime.http import Gate
    from web.assets import Assets
    from web.classify import Because
    from web.render import Renderer
    from web.ticket_api import TicketApi

GATE: "web.AppKey[Gate]" = web.AppKey("gate")
ASSETS: "web.AppKey[Assets]" = web.AppKey("assets")
RENDERER: "web.AppKey[Renderer]" = web.AppKey("renderer")
TICKET_API: "web.AppKey[TicketApi]" = web.AppKey("ticket_api")
RPC: "web.AppKey[RpcClient]" = web.AppKey("rpc")
BECAUSE: "web.AppKey[Because]" = web.AppKey("because")
