"""One thing done to many tickets, and the sentence about how that went.

The sentence crosses a redirect as a code in a cookie (`said.py`), which anybody may have written.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.vocabulary import Category, Role, Status
from web.filters import label
from web.i18n import N_, gettext, ngettext
from web.ticket_api import ApiError, TicketApi, Unavailable

TICKETS_MAX = 200
AT_ONCE = 8
# More numbers than these are no sentence any more.
NAMED_MAX = 5
DEEDS = (Status.ACTIVE.value, Status.CLOSED.value, *Category)
# Why a ticket stays as it is, as it follows its number.
REASONS = {
    Status.OPEN.value: N_("#%(id)s was open"),
    Status.CLOSED.value: N_("#%(id)s was closed"),
    "missing": N_("#%(id)s does not exist"),
    "away": N_("#%(id)s could not be reached"),
}
CODE = re.compile(
    r"bulk\.(\w{1,30})\.(\d{1,4})\.(\d{1,4})((?:\.\d{1,16}-[a-z]{1,10}){0,5})", re.ASCII
)


@dataclass(frozen=True)
class Outcome:
    """How many tickets are as they were wanted, and why which others are not."""

    do: str
    done: int
    refused: tuple[tuple[int, str], ...]

    @property
    def code(self) -> str:
        """Return what `say_outcome` makes a sentence of; the first refused tickets are named."""
        named = [f".{ticket_id}-{reason}" for ticket_id, reason in self.refused[:NAMED_MAX]]
        return f"bulk.{self.do}.{self.done}.{len(self.refused)}{''.join(named)}"


async def do_to_each(api: TicketApi, role: Role, ticket_ids: Sequence[int], do: str) -> Outcome:
    """Move tickets one step or set their category, AT_ONCE at a time; what is so already counts."""
    places = asyncio.Semaphore(AT_ONCE)

    async def try_one(ticket_id: int) -> str:
        async with places:
            return await _do(api, role, ticket_id, do)

    reasons = await asyncio.gather(*map(try_one, ticket_ids))
    refused = tuple((i, reason) for i, reason in zip(ticket_ids, reasons, strict=True) if reason)
    return Outcome(do, len(ticket_ids) - len(refused), refused)


async def _do(api: TicketApi, role: Role, ticket_id: int, do: str) -> str:
    """Return why it was not possible, empty where it was."""
    try:
        if do in set(Category):
            await api.edit(role, ticket_id, None, category=do)
        else:
            await api.move(role, ticket_id, do)
    except Unavailable:
        return "away"
    except ApiError as error:
        problem = error.problem
        if problem.status == 404:
            return "missing"
        if problem.status != 409:
            raise
        return problem.ticket.status.value if problem.ticket else Status.CLOSED.value
    return ""


def say_outcome(code: str) -> str:
    """Return how it went, in a sentence or two; empty for what is no code."""
    match = CODE.fullmatch(code)
    if match is None or match[1] not in DEEDS:
        return ""
    do, done, n_refused = match[1], int(match[2]), int(match[3])
    named = [part.split("-") for part in match[4].split(".")[1:]]
    if any(reason not in REASONS for _, reason in named):
        return ""
    sentences = [_say_done(do, done)] if done else []
    if n_refused:
        which = [gettext(REASONS[reason]) % {"id": number} for number, reason in named]
        if n_refused > len(which):
            which.append("…")
        sentences.append(
            ngettext(
                "%(num)s could not be changed: %(which)s.",
                "%(num)s could not be changed: %(which)s.",
                n_refused,
            )
            % {"num": n_refused, "which": ", ".join(which)}
        )
    return " ".join(sentences)


def _say_done(do: str, n: int) -> str:
    if do == Status.ACTIVE:
        said = ngettext("%(num)s ticket: work started.", "%(num)s tickets: work started.", n)
    elif do == Status.CLOSED:
        said = ngettext("%(num)s ticket: closed.", "%(num)s tickets: closed.", n)
    else:
        said = ngettext("%(num)s ticket: %(category)s.", "%(num)s tickets: %(category)s.", n)
        return said % {"num": n, "category": label(do)}
    return said % {"num": n}
