"""What an RPC request and reply look like, for client and servers alike; no I/O here.

Source of the shape: DESIGN.md, "RabbitMQ: vhost campus".
"""

import logging
import secrets
from typing import TypeVar

from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from contracts.messages import RpcErrorBody, RpcErrorCode
from contracts.rest import FieldError, field_errors

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/json"
SERVED_SECONDS = Histogram("rpc_server_seconds", "Time to work one RPC request.", ["queue"])
LATE_TOTAL = Counter("rpc_server_late_total", "Requests dropped after their deadline.", ["queue"])

BodyT = TypeVar("BodyT", bound=BaseModel)


class RpcError(Exception):
    """A call that has no result: `code` is stable, `errors` names the bad fields.

    Codes: `bad_request` (the request is wrong), `unavailable` (nobody answered, or something that
    the answer needs is away), `internal` (a defect; the message holds the support id of the log).
    """

    def __init__(
        self, code: RpcErrorCode, message: str, errors: list[FieldError] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.errors = errors or []


def decode_request(body: bytes, request_type: type[BodyT]) -> BodyT:
    """Return the request; raises RpcError `bad_request` with the field and the reason."""
    try:
        return request_type.model_validate_json(body)
    except ValidationError as error:
        raise RpcError("bad_request", reasons(error), field_errors(error.errors())) from None


def reasons(error: ValidationError) -> str:
    """Return every bad field with its reason, in one line."""
    return "; ".join(f"{bad.field}: {bad.message}" for bad in field_errors(error.errors()))


def encode_result(result: BaseModel) -> bytes:
    """Return the reply that carries a result."""
    return b'{"result":' + result.model_dump_json().encode() + b"}"


def encode_error(error: Exception, queue: str) -> bytes:
    """Return the reply that carries an error; the log keeps what the caller need not know."""
    if not isinstance(error, RpcError):
        support_id = secrets.token_hex(4)
        log.error("%s: request failed, support id %s", queue, support_id, exc_info=error)
        error = RpcError("internal", f"Something went wrong here (support id {support_id}).")
    body = RpcErrorBody(code=error.code, message=str(error), errors=error.errors or None)
    return b'{"error":' + body.model_dump_json(exclude_none=True).encode() + b"}"


def decode_reply(body: bytes, result_type: type[BodyT]) -> BodyT:
    """Return the result of a reply; raises RpcError with what the server said."""
    try:
        # Refuses what is nested without end; `json` would recurse into it.
        reply = from_json(body, allow_inf_nan=False)
        if "error" in reply:
            error = RpcErrorBody.model_validate(reply["error"])
            raise RpcError(error.code, error.message, error.errors)
        return result_type.model_validate(reply["result"])
    except ValidationError as invalid:
        raise RpcError("internal", f"The reply cannot be understood: {reasons(invalid)}") from None
    except (ValueError, TypeError, KeyError) as reason:
        raise RpcError("internal", f"The reply cannot be understood: {reason}") from None
