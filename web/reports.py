"""Asks the report workers; each report is drawn by its own worker and may be away alone."""

from bus.rpc_client import RpcClient
from contracts.messages import (
    ActiveReport,
    ActiveRequest,
    ResolutionReport,
    ResolutionRequest,
    UnclosedReport,
    UnclosedRequest,
)
from contracts.topology import RPC_REPORT_ACTIVE, RPC_REPORT_RESOLUTION, RPC_REPORT_UNCLOSED
from web.i18n import current_language

# Their names in addresses.
ANALYSES = ("unclosed", "resolution", "active")
REPORT_SECONDS = 3.0


async def unclosed(rpc: RpcClient, request: UnclosedRequest) -> UnclosedReport:
    """Return how many tickets opened in the period are not closed; raises RpcError."""
    return await rpc.call(RPC_REPORT_UNCLOSED, request, UnclosedReport, REPORT_SECONDS)


async def resolution(rpc: RpcClient) -> ResolutionReport:
    """Return the mean time to close by opening month; raises RpcError."""
    request = ResolutionRequest(language=current_language())
    return await rpc.call(RPC_REPORT_RESOLUTION, request, ResolutionReport, REPORT_SECONDS)


async def active(rpc: RpcClient) -> ActiveReport:
    """Return how many tickets are active, by category; raises RpcError."""
    return await rpc.call(
        RPC_REPORT_ACTIVE, ActiveRequest(language=current_language()), ActiveReport, REPORT_SECONDS
    )
