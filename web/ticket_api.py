"""The ticket service's REST interface as typed calls: connections are kept, every call ends.

Knows nothing of pages. What the service refuses becomes an ApiError with the service's own
problem; a service that is away, too slow or broken becomes Unavailable.
"""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal, Self, TypeAlias, TypeVar
from uuid import UUID

import aiohttp
from pydantic import BaseModel, ValidationError

from contracts.rest import (
    Counts,
    EditTicket,
    History,
    MarkDuplicate,
    Message,
    Messages,
    MoveTicket,
    OpenTicket,
    Problem,
    Replies,
    Reply,
    SendMessage,
    SimilarTicket,
    SimilarTickets,
    Ticket,
    TicketPage,
    Tickets,
    WriteReply,
    field_errors,
)
from contracts.vocabulary import Category, Role
from runtime.contended import Contended

log = logging.getLogger(__name__)

# A page that takes longer than this is worth less than a clear sentence.
DEADLINE_SECONDS = 3.0
READY_SECONDS = 1.0
# The service closes idle connections later than this, so a reused one is not about to go away.
KEEPALIVE_SECONDS = 15.0
CONNECTIONS_MAX = 200
# Once more after a lost connection: the service was restarted, or a replica took over.
TRIES = 2
RETRY_SECONDS = 0.1
CONTENDED = "contended"
SIMILAR_TO_TEXT = 3
SIMILAR_TO_TICKET = 5

BodyT = TypeVar("BodyT", bound=BaseModel)
_Version: TypeAlias = int | Literal["*"]
Params = Sequence[tuple[str, str]]


class ApiError(Exception):
    """The ticket service refused; `problem` says why, in words for people."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class _Nothing(BaseModel):
    """What an answer without a body says."""


class Unavailable(Exception):
    """The ticket service cannot be reached, takes too long, or has a defect of its own."""


class TicketContended(Unavailable, Contended):
    """Others are changing the same ticket; in a moment it can be had."""


class TicketApi:
    """One client for the whole process: `async with TicketApi(url, token) as api`."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_SECONDS
            ),
            timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": f"Bearer {self._token}"},
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def list_tickets(self, role: Role, params: Params) -> TicketPage:
        """Return one keyset page of tickets."""
        return await self._call(TicketPage, "GET", "/v1/tickets", role, params=params)

    async def counts(self, role: Role) -> Counts:
        """Return how many tickets stand at each status."""
        return await self._call(Counts, "GET", "/v1/tickets/counts", role)

    async def ticket(self, role: Role, ticket_id: int) -> Ticket:
        """Return one ticket."""
        return await self._call(Ticket, "GET", f"/v1/tickets/{ticket_id}", role)

    async def messages(
        self, role: Role, ticket_id: int, limit: int, before: int | None = None
    ) -> Messages:
        """Return the last messages of a ticket, or the last before one of them."""
        path = f"/v1/tickets/{ticket_id}/messages"
        return await self._call(Messages, "GET", path, role, params=_part(limit, before))

    async def history(
        self, role: Role, ticket_id: int, limit: int, before: int | None = None
    ) -> History:
        """Return what was done to a ticket last, or last before a version."""
        path = f"/v1/tickets/{ticket_id}/history"
        return await self._call(History, "GET", path, role, params=_part(limit, before))

    async def similar(self, role: Role, text: str) -> list[SimilarTicket]:
        """Return open and active tickets about the same problem, best first."""
        params = [("text", text), ("limit", str(SIMILAR_TO_TEXT))]
        found = await self._call(SimilarTickets, "GET", "/v1/tickets/similar", role, params=params)
        return found.items

    async def similar_to(self, role: Role, ticket_id: int) -> list[SimilarTicket]:
        """Return other tickets about the same problem as a ticket, best first."""
        path = f"/v1/tickets/{ticket_id}/similar"
        params = [("limit", str(SIMILAR_TO_TICKET))]
        return (await self._call(SimilarTickets, "GET", path, role, params=params)).items

    async def duplicates(self, role: Role, ticket_id: int) -> list[Ticket]:
        """Return the tickets that are marked as duplicates of a ticket."""
        path = f"/v1/tickets/{ticket_id}/duplicates"
        return (await self._call(Tickets, "GET", path, role)).items

    async def open_ticket(
        self, role: Role, description: str, category: Category | None, key: UUID
    ) -> Ticket:
        """Open a ticket; the same key again answers the same ticket."""
        body = _body(OpenTicket, description=description, category=category)
        return await self._call(Ticket, "POST", "/v1/tickets", role, body=body, key=key)

    async def edit(self, role: Role, ticket_id: int, version: int | None, **changes: str) -> Ticket:
        """Change a ticket that stands at `version` (None: any); ApiError 412 holds a newer one."""
        path = f"/v1/tickets/{ticket_id}"
        body = _body(EditTicket, **changes)
        wanted: _Version = "*" if version is None else version
        return await self._call(Ticket, "PATCH", path, role, body=body, version=wanted)

    async def move(self, role: Role, ticket_id: int, status: str) -> Ticket:
        """Move a ticket one step forward."""
        path = f"/v1/tickets/{ticket_id}/status"
        return await self._call(Ticket, "PUT", path, role, body=_body(MoveTicket, status=status))

    async def count_affected(self, role: Role, ticket_id: int, browser: UUID) -> Ticket:
        """Say that the reader of a browser has the problem too; each browser counts once."""
        return await self._call(Ticket, "PUT", f"/v1/tickets/{ticket_id}/affected/{browser}", role)

    async def mark_duplicate(self, role: Role, ticket_id: int, original_id: int) -> Ticket:
        """Say that helpdesk goes on in another ticket."""
        path = f"/v1/tickets/{ticket_id}/duplicate_of"
        body = _body(MarkDuplicate, ticket=original_id)
        return await self._call(Ticket, "PUT", path, role, body=body)

    async def unmark_duplicate(self, role: Role, ticket_id: int) -> Ticket:
        """Say that a ticket is no duplicate after all."""
        return await self._call(Ticket, "DELETE", f"/v1/tickets/{ticket_id}/duplicate_of", role)

    async def send_message(self, role: Role, ticket_id: int, text: str, key: UUID) -> Message:
        """Add a message to a ticket; the same key again answers the same message."""
        path = f"/v1/tickets/{ticket_id}/messages"
        body = _body(SendMessage, body=text)
        return await self._call(Message, "POST", path, role, body=body, key=key)

    async def replies(self, role: Role) -> list[Reply]:
        """Return helpdesk's canned replies, by title."""
        return (await self._call(Replies, "GET", "/v1/replies", role)).items

    async def add_reply(self, role: Role, title: str, text: str) -> Reply:
        """Keep one more canned reply."""
        body = _body(WriteReply, title=title, body=text)
        return await self._call(Reply, "POST", "/v1/replies", role, body=body)

    async def replace_reply(self, role: Role, reply_id: int, title: str, text: str) -> Reply:
        """Write a canned reply anew."""
        body = _body(WriteReply, title=title, body=text)
        return await self._call(Reply, "PUT", f"/v1/replies/{reply_id}", role, body=body)

    async def delete_reply(self, role: Role, reply_id: int) -> None:
        """Delete a canned reply; none is no error."""
        await self._call(_Nothing, "DELETE", f"/v1/replies/{reply_id}", role)

    async def is_ready(self) -> bool:
        """Tell whether the ticket service says that it is ready."""
        try:
            async with self._session.get(
                f"{self._url}/health/ready", timeout=aiohttp.ClientTimeout(total=READY_SECONDS)
            ) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _call(
        self,
        answer_type: type[BodyT],
        method: str,
        path: str,
        role: Role,
        *,
        params: Params = (),
        body: BaseModel | None = None,
        key: UUID | None = None,
        version: _Version | None = None,
    ) -> BodyT:
        headers = {"X-Role": role.value}
        if key is not None:
            headers["Idempotency-Key"] = str(key)
        if version is not None:
            headers["If-Match"] = "*" if version == "*" else f'"{version}"'
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = body.model_dump_json(exclude_unset=True)
        status, text = await self._send(method, path, headers, params, data)
        try:
            if status < 400:
                return answer_type.model_validate_json(text or b"{}")
            problem = Problem.model_validate_json(text)
        except ValidationError as error:
            log.error("%s %s: %d cannot be understood: %s", method, path, status, error)
            raise Unavailable from error
        # These are about our own token: they say no to everybody, and no reader is to blame.
        if status >= 500 or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
            log.warning("%s %s: %s", method, path, problem.to_json())
            raise TicketContended if problem.code == CONTENDED else Unavailable
        raise ApiError(problem)

    async def _send(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        params: Params,
        data: str | None,
        tries: int = TRIES,
    ) -> tuple[int, bytes]:
        """Return status and body; raises Unavailable.

        Every call of ours may be repeated: what opens or sends has a key, what edits names its
        version or sets one value, no two replies have one title, and a step that was made already
        is no error.
        """
        try:
            async with self._session.request(
                method, self._url + path, params=params or None, data=data, headers=headers
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("%s %s: %r", method, path, error)
            if isinstance(error, TimeoutError) or tries == 1:
                raise Unavailable from error
        await asyncio.sleep(RETRY_SECONDS)
        return await self._send(method, path, headers, params, data, tries - 1)


def _part(limit: int, before: int | None) -> Params:
    return [("limit", str(limit)), *([("before", str(before))] if before else [])]


def _body(body_type: type[BodyT], **fields: str | int | None) -> BodyT:
    # The service would refuse it with the same words; this saves the way there.
    try:
        return body_type.model_validate(fields)
    except ValidationError as error:
        problem = Problem(
            title="Invalid",
            status=422,
            code="invalid",
            detail="Some of it is not usable.",
            errors=field_errors(error.errors()),
        )
        raise ApiError(problem) from None
