"""Why a request is refused; `problems.py` says with which status, code and sentence.

Imports nothing of the service: rules raise these and know nothing of HTTP.
"""

from datetime import datetime

from contracts.rest import FieldError, Ticket


class Refused(Exception):
    """A request that is not carried out.

    `errors` names bad fields; `ticket` is the state that stands in the way.
    """

    def __init__(
        self,
        *errors: FieldError,
        ticket: Ticket | None = None,
        closed_at: datetime | None = None,
    ) -> None:
        super().__init__()
        self.errors = list(errors)
        self.ticket = ticket
        self.closed_at = closed_at


class BadJson(Refused):
    """The body is not JSON."""


class NotJson(Refused):
    """The body says that it is something else than JSON."""


class Unauthorized(Refused):
    """The bearer token is missing or wrong."""


class BadRole(Refused):
    """X-Role is missing or names no role."""


class Invalid(Refused):
    """A field is missing, unknown or wrong."""


class Forbidden(Refused):
    """The role may not do this."""


class NotFound(Refused):
    """No such ticket."""


class ClosedToUsers(Refused):
    """A user asks for a closed ticket: only that it was closed, and when, is theirs to know."""


class TicketClosed(Refused):
    """A closed ticket is read-only."""


class ThreadFull(Refused):
    """A ticket holds as many messages as anybody reads."""


class WrongStep(Refused):
    """The status moves one step at a time, forward only."""


class DuplicateChain(Refused):
    """A ticket is a duplicate of one that is none itself."""


class Stale(Refused):
    """The ticket changed after the caller read it."""


class MatchRequired(Refused):
    """An edit must say, in If-Match, which version it was made from."""


class KeyReused(Refused):
    """The idempotency key belongs to another request."""


class NoSuchReply(Refused):
    """No such canned reply."""


class TitleTaken(Refused):
    """Another canned reply has this title."""


class TooManyReplies(Refused):
    """There are as many canned replies as people can choose from."""


def bad_field(name: str, code: str, message: str, **params: str | int) -> FieldError:
    """Return the one-field error that most refusals carry; `params` fill the gaps of `message`."""
    return FieldError(field=name, message=message.format_map(params), code=code, params=params)


def unknown_ticket(name: str, ticket_id: int) -> FieldError:
    """Return the error of a field that names a ticket which does not exist."""
    return bad_field(name, "unknown_ticket", "there is no ticket {ticket}", ticket=ticket_id)
