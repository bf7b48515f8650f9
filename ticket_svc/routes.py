"""The whole table of addresses; the service's OpenAPI document is made from it."""

from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from contracts.rest import (
    Counts,
    EditTicket,
    History,
    MarkDuplicate,
    Message,
    Messages,
    MoveTicket,
    OpenTicket,
    Replies,
    Reply,
    SendMessage,
    SimilarTickets,
    Ticket,
    TicketPage,
    Tickets,
    WriteReply,
)
from ticket_svc import handlers, operators
from ticket_svc.errors import (
    ClosedToUsers,
    DuplicateChain,
    Forbidden,
    KeyReused,
    MatchRequired,
    NoSuchReply,
    Refused,
    Stale,
    ThreadFull,
    TicketClosed,
    TitleTaken,
    TooManyReplies,
    WrongStep,
)
from ticket_svc.parsing import IDEMPOTENCY_KEY
from ticket_svc.queries import (
    HistoryQuery,
    ListQuery,
    Query,
    SimilarQuery,
    SimilarTextQuery,
    ThreadQuery,
)


class Route(NamedTuple):
    """One address and method; what any route with a body, a query, a key or a ticket refuses is
    implied. `answer` is None where there is nothing to say.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: type[BaseModel] | None
    status: int = 200
    query: type[Query] | None = None
    body: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    refusals: tuple[type[Refused], ...] = ()
    content_type: str = "application/json"


REST = (
    Route(
        "POST", "/v1/tickets", handlers.open_ticket, "Open a ticket",
        Ticket, 201, body=OpenTicket, headers=(IDEMPOTENCY_KEY,),
        refusals=(ClosedToUsers, KeyReused),
    ),
    Route(
        "GET", "/v1/tickets", handlers.list_tickets, "A page of tickets",
        TicketPage, query=ListQuery, refusals=(Forbidden,),
    ),
    Route(
        "GET", "/v1/tickets/counts", handlers.count_tickets,
        "How many tickets stand at each status", Counts,
    ),
    Route(
        "GET", "/v1/tickets/export", handlers.export_tickets, "Every ticket, one a line, by id",
        Ticket, refusals=(Forbidden,), content_type=handlers.NDJSON,
    ),
    Route(
        "GET", "/v1/tickets/similar", handlers.list_similar_to_text,
        "Open and active tickets about the same problem as a text, best first",
        SimilarTickets, query=SimilarTextQuery,
    ),
    Route(
        "GET", "/v1/tickets/{id}", handlers.get_ticket, "One ticket",
        Ticket, headers=(hdrs.IF_NONE_MATCH,), refusals=(ClosedToUsers,),
    ),
    Route(
        "PATCH", "/v1/tickets/{id}", handlers.edit_ticket,
        "Edit a ticket; each field that changes makes a version",
        Ticket, body=EditTicket, headers=(hdrs.IF_MATCH,),
        refusals=(Forbidden, TicketClosed, Stale, MatchRequired),
    ),
    Route(
        "PUT", "/v1/tickets/{id}/status", handlers.move_ticket, "Move a ticket one step forward",
        Ticket, body=MoveTicket, refusals=(Forbidden, WrongStep),
    ),
    Route(
        "PUT", "/v1/tickets/{id}/affected/{key}", handlers.count_affected,
        "Say that somebody else has the problem too; each key, which stands for a browser, once",
        Ticket, refusals=(TicketClosed,),
    ),
    Route(
        "GET", "/v1/tickets/{id}/similar", handlers.list_similar_to_ticket,
        "Other open and active tickets about the same problem, best first",
        SimilarTickets, query=SimilarQuery, refusals=(ClosedToUsers,),
    ),
    Route(
        "PUT", "/v1/tickets/{id}/duplicate_of", handlers.mark_duplicate,
        "Say that helpdesk goes on in another ticket about the same problem",
        Ticket, body=MarkDuplicate, refusals=(Forbidden, TicketClosed, DuplicateChain),
    ),
    Route(
        "DELETE", "/v1/tickets/{id}/duplicate_of", handlers.unmark_duplicate,
        "Say that a ticket is no duplicate after all", Ticket, refusals=(Forbidden, TicketClosed),
    ),
    Route(
        "GET", "/v1/tickets/{id}/duplicates", handlers.list_duplicates,
        "The duplicates of a ticket, oldest first", Tickets, refusals=(ClosedToUsers,),
    ),
    Route(
        "GET", "/v1/tickets/{id}/messages", handlers.list_messages, "A ticket's thread",
        Messages, query=ThreadQuery, refusals=(ClosedToUsers,),
    ),
    Route(
        "POST", "/v1/tickets/{id}/messages", handlers.send_message, "Put a message under a ticket",
        Message, 201, body=SendMessage, headers=(IDEMPOTENCY_KEY,),
        refusals=(TicketClosed, ThreadFull, KeyReused),
    ),
    Route(
        "GET", "/v1/tickets/{id}/history", handlers.list_history, "Who did what to a ticket, when",
        History, query=HistoryQuery, refusals=(ClosedToUsers,),
    ),
    Route(
        "GET", "/v1/replies", handlers.list_replies, "Helpdesk's canned replies, by title",
        Replies, refusals=(Forbidden,),
    ),
    Route(
        "POST", "/v1/replies", handlers.add_reply, "Keep one more canned reply",
        Reply, 201, body=WriteReply, refusals=(Forbidden, TitleTaken, TooManyReplies),
    ),
    Route(
        "PUT", "/v1/replies/{id}", handlers.replace_reply, "Write a canned reply anew",
        Reply, body=WriteReply, refusals=(Forbidden, NoSuchReply, TitleTaken),
    ),
    Route(
        "DELETE", "/v1/replies/{id}", handlers.delete_reply,
        "Delete a canned reply, if it is there", None, 204, refusals=(Forbidden, NoSuchReply),
    ),
)  # fmt: skip
OPERATORS = (
    web.get("/health/live", operators.live),
    web.get("/health/ready", operators.ready),
    web.get("/metrics", operators.metrics),
    web.get("/openapi.json", handlers.describe),
)


def add_routes(app: web.Application) -> None:
    """Give the application its addresses."""
    app.add_routes([web.route(route.method, route.path, route.handler) for route in REST])
    app.add_routes(OPERATORS)
