"""Asks the classifier service; a reporter never waits for it longer than CLASSIFY_SECONDS."""

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.messages import Classification, ClassifyRequest
from contracts.topology import RPC_CLASSIFY

CLASSIFY_SECONDS = 1.0


async def find_category(rpc: RpcClient, text: str) -> Classification | None:
    """Return the category of a text, None while the classifier cannot say.

    The ticket is stored without one then and gets it later, through the ticket service's outbox.
    """
    try:
        request = ClassifyRequest(text=text)
        return await rpc.call(RPC_CLASSIFY, request, Classification, CLASSIFY_SECONDS)
    except (RpcError, ValueError):
        return None
