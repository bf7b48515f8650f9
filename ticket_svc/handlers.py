"""REST handlers: parse, one call, respond. No rule and no SQL."""

from contextlib import aclosing

from aiohttp import ETag, hdrs, web
from pydantic import BaseModel

from contracts.rest import (
    EditTicket,
    History,
    MarkDuplicate,
    Messages,
    MoveTicket,
    OpenTicket,
    SendMessage,
    Ticket,
    WriteReply,
)
from runtime.abandoned import while_awaited
from ticket_svc import duplicates, replies, similar, tickets
from ticket_svc.errors import NoSuchReply
from ticket_svc.keys import OPENAPI, POOL, ROLE, RPC
from ticket_svc.parsing import (
    matches_none,
    read_body,
    read_id,
    read_idempotency_key,
    read_if_match,
    read_key,
    read_query,
)
from ticket_svc.queries import (
    HistoryQuery,
    ListQuery,
    SimilarQuery,
    SimilarTextQuery,
    ThreadQuery,
)

NDJSON = "application/x-ndjson"


def _answer(body: BaseModel, status: int = 200, *, is_given_only: bool = False) -> web.Response:
    return web.Response(
        status=status,
        body=body.model_dump_json(exclude_unset=is_given_only).encode(),
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )


def _part_answer(body: Messages | History) -> web.Response:
    # Who asks for the whole gets `items` and nothing beside them.
    return _answer(body, is_given_only=True)


def _ticket_answer(ticket: Ticket, status: int = 200) -> web.Response:
    response = _answer(ticket, status)
    response.etag = str(ticket.version)
    return response


async def open_ticket(request: web.Request) -> web.Response:
    """Open a ticket."""
    ticket = await tickets.open_ticket(
        request.app[POOL],
        request[ROLE],
        await read_body(request, OpenTicket),
        read_idempotency_key(request),
    )
    response = _ticket_answer(ticket, 201)
    response.headers[hdrs.LOCATION] = f"/v1/tickets/{ticket.id}"
    return response


async def list_tickets(request: web.Request) -> web.Response:
    """Return a page of tickets."""
    query = read_query(request, ListQuery)
    work = tickets.list_tickets(request.app[POOL], request[ROLE], query)
    return _answer(await (work if query.q is None else while_awaited(request, work)))


async def count_tickets(request: web.Request) -> web.Response:
    """Return how many tickets stand at each status."""
    return _answer(await tickets.count_tickets(request.app[POOL]))


async def list_similar_to_text(request: web.Request) -> web.Response:
    """Return tickets about the same problem as a text."""
    query = read_query(request, SimilarTextQuery)
    app = request.app
    work = similar.list_similar_to_text(app[POOL], app[RPC], query.text, query.limit)
    return _answer(await while_awaited(request, work))


async def list_similar_to_ticket(request: web.Request) -> web.Response:
    """Return other tickets about the same problem as a ticket."""
    limit = read_query(request, SimilarQuery).limit
    return _answer(
        await similar.list_similar_to_ticket(
            request.app[POOL], request[ROLE], read_id(request), limit
        )
    )


async def export_tickets(request: web.Request) -> web.StreamResponse:
    """Stream every ticket, one a line, no faster than the caller reads."""
    response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store"})
    response.content_type = NDJSON
    async with aclosing(tickets.export_tickets(request.app[POOL], request[ROLE])) as batches:
        async for batch in batches:
            if not response.prepared:
                await response.prepare(request)
            await response.write("".join(f"{t.model_dump_json()}\n" for t in batch).encode())
    await response.prepare(request)
    await response.write_eof()
    return response


async def get_ticket(request: web.Request) -> web.Response:
    """Return a ticket, or 304 to a caller that has its version."""
    ticket = await tickets.get_ticket(request.app[POOL], request[ROLE], read_id(request))
    if matches_none(request, ETag(str(ticket.version))):
        response = web.Response(status=304)
        response.etag = str(ticket.version)
    else:
        response = _ticket_answer(ticket)
    response.headers[hdrs.CACHE_CONTROL] = "private, no-cache"
    response.headers[hdrs.VARY] = "Authorization, X-Role"
    return response


async def edit_ticket(request: web.Request) -> web.Response:
    """Edit a ticket's description or category."""
    return _ticket_answer(
        await tickets.edit_ticket(
            request.app[POOL],
            request[ROLE],
            read_id(request),
            await read_body(request, EditTicket),
            read_if_match(request),
        )
    )


async def move_ticket(request: web.Request) -> web.Response:
    """Move a ticket one step forward."""
    ticket_id = read_id(request)
    step = await read_body(request, MoveTicket)
    return _ticket_answer(
        await tickets.move_ticket(request.app[POOL], request[ROLE], ticket_id, step.status)
    )


async def count_affected(request: web.Request) -> web.Response:
    """Count a browser whose reader has the problem too."""
    return _ticket_answer(
        await tickets.count_affected(
            request.app[POOL], request[ROLE], read_id(request), read_key(request)
        )
    )


async def mark_duplicate(request: web.Request) -> web.Response:
    """Point a ticket to the one where helpdesk goes on."""
    ticket_id = read_id(request)
    original = await read_body(request, MarkDuplicate)
    return _ticket_answer(
        await duplicates.mark_duplicate(
            request.app[POOL], request[ROLE], ticket_id, original.ticket
        )
    )


async def unmark_duplicate(request: web.Request) -> web.Response:
    """Say that a ticket is no duplicate after all."""
    return _ticket_answer(
        await duplicates.unmark_duplicate(request.app[POOL], request[ROLE], read_id(request))
    )


async def list_duplicates(request: web.Request) -> web.Response:
    """Return the duplicates of a ticket."""
    return _answer(
        await duplicates.list_duplicates(request.app[POOL], request[ROLE], read_id(request))
    )


async def list_messages(request: web.Request) -> web.Response:
    """Return a ticket's thread, or a part of it."""
    query = read_query(request, ThreadQuery)
    return _part_answer(
        await tickets.list_messages(request.app[POOL], request[ROLE], read_id(request), query)
    )


async def send_message(request: web.Request) -> web.Response:
    """Put a message under a ticket."""
    message = await tickets.send_message(
        request.app[POOL],
        request[ROLE],
        read_id(request),
        await read_body(request, SendMessage),
        read_idempotency_key(request),
    )
    return _answer(message, 201)


async def list_history(request: web.Request) -> web.Response:
    """Return what happened to a ticket, or a part of it."""
    query = read_query(request, HistoryQuery)
    return _part_answer(
        await tickets.list_history(request.app[POOL], request[ROLE], read_id(request), query)
    )


async def list_replies(request: web.Request) -> web.Response:
    """Return the canned replies."""
    return _answer(await replies.list_replies(request.app[POOL], request[ROLE]))


async def add_reply(request: web.Request) -> web.Response:
    """Keep one more canned reply."""
    reply = await read_body(request, WriteReply)
    return _answer(await replies.add_reply(request.app[POOL], request[ROLE], reply), 201)


async def replace_reply(request: web.Request) -> web.Response:
    """Write a canned reply anew."""
    reply_id = read_id(request, NoSuchReply)
    reply = await read_body(request, WriteReply)
    return _answer(await replies.replace_reply(request.app[POOL], request[ROLE], reply_id, reply))


async def delete_reply(request: web.Request) -> web.Response:
    """Delete a canned reply."""
    await replies.delete_reply(request.app[POOL], request[ROLE], read_id(request, NoSuchReply))
    return web.Response(status=204)


async def describe(request: web.Request) -> web.Response:
    """Return the OpenAPI document."""
    return web.Response(text=request.app[OPENAPI], content_type="application/json")
