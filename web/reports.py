"""Asks the report workers; each report is drawn by its own worker and may be away alone."""

from typing import TypeAlias

from bus.rpc_client import RpcClient
from contracts.reports import (
    ActiveReport,
    ActiveRequest,
    ResolutionReport,
    ResolutionRequest,
    UnclosedReport,
    UnclosedRequest,
)
from contracts.topology import RPC_REPORT_ACTIVE, RPC_REPORT_RESOLUTION, RPC_REPORT_UNCLOSED

Request: TypeAlias = UnclosedRequest | ResolutionRequest | ActiveRequest
Report: TypeAlias = UnclosedReport | ResolutionReport | ActiveReport
# By their names in addresses.
REQUESTS: dict[str, type[Request]] = {
    "unclosed": UnclosedRequest,
    "resolution": ResolutionRequest,
    "active": ActiveRequest,
}
ANALYSES = tuple(REQUESTS)
REPORT_SECONDS = 3.0


async def ask(rpc: RpcClient, request: Request) -> Report:
    """Return the report; raises RpcError."""
    match request:
        case UnclosedRequest():
            return await rpc.call(RPC_REPORT_UNCLOSED, request, UnclosedReport, REPORT_SECONDS)
        case ResolutionRequest():
            return await rpc.call(RPC_REPORT_RESOLUTION, request, ResolutionReport, REPORT_SECONDS)
        case ActiveRequest():
            return await rpc.call(RPC_REPORT_ACTIVE, request, ActiveReport, REPORT_SECONDS)
