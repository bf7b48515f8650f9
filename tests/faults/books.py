"""Compares what callers were promised with what is there, when everything runs again."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import aiohttp

from contracts.rest import HistoryItem, Message, Ticket
from contracts.vocabulary import Action, CategorySource, Role, Status
from tests.faults.aftermath import Check, processes, reports, same, until_quiet
from tests.faults.ledger import Fate, Kind, Ledger, Write
from tests.faults.rig import Rig
from tests.promises.person import Program

AT_ONCE = 16


@dataclass(frozen=True)
class Story:
    """One ticket as it is stored: state, thread, history."""

    ticket: Ticket
    messages: list[Message]
    history: list[HistoryItem]

    @property
    def first_text(self) -> str:
        edits = (i.before for i in self.history if i.action is Action.DESCRIPTION_EDITED)
        return next(edits, None) or self.ticket.description


async def audit(rig: Rig, ledger: Ledger) -> list[Check]:
    """Wait until everything is quiet, and check it all."""
    headers = {"Authorization": f"Bearer {rig.names['TICKET_API_TOKEN']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        api = Program(session, rig.names["TICKET_API_URL"])
        quiet = await until_quiet(rig, api)
        stories = await _read_everything(api)
        counts = await api.get("/tickets/counts")
    tickets = [story.ticket for story in stories]
    return [
        *_acknowledged(ledger, stories),
        _nothing_unsent(ledger, stories),
        Check(
            "every ticket has its category",
            len(tickets),
            [f"ticket {t.id}" for t in tickets if t.category is None],
        ),
        Check(
            "history tells the same story as the ticket",
            len(stories),
            [f"ticket {s.ticket.id}: {w}" for s in stories if (w := _contradiction(s))],
        ),
        same("counts equal a recount", counts, Counter(str(t.status) for t in tickets)),
        *await reports(rig, tickets),
        *quiet,
        *processes(rig),
        Check("no answer was a defect (500)", len(ledger.attempts), ledger.defects),
    ]


# --- What was acknowledged ------------------------------------------------------------------------
def _acknowledged(ledger: Ledger, stories: list[Story]) -> list[Check]:
    by_id = {story.ticket.id: story for story in stories}
    texts = Counter(story.first_text for story in stories)
    bodies = Counter((m.ticket_id, m.body) for story in stories for m in story.messages)
    done = Counter((s.ticket.id, i.action, i.after) for s in stories for i in s.history)

    def is_there(write: Write) -> bool:
        assert write.ticket_id is not None
        match write.kind:
            case Kind.TICKET:
                story = by_id.get(write.ticket_id)
                is_right = story is not None and story.first_text == write.value
                return is_right and texts[write.value] == 1
            case Kind.MESSAGE:
                return bodies[write.ticket_id, write.value] == 1
            case Kind.EDIT:
                return done[write.ticket_id, Action.DESCRIPTION_EDITED, write.value] == 1
            case Kind.STEP:
                action = Action.CLOSED if write.value == Status.CLOSED else Action.ACTIVATED
                return done[write.ticket_id, action, write.value] == 1
            case Kind.CATEGORY:
                # No history where the ticket had the category already.
                return write.value in _categories(by_id[write.ticket_id])

    return [
        Check(
            f"each acknowledged {kind.name.lower()} is there exactly once",
            len(writes := ledger.of(kind, Fate.ACKNOWLEDGED)),
            [str(write) for write in writes if not is_there(write)],
        )
        for kind in Kind
    ]


def _categories(story: Story) -> set[str | None]:
    steps = [item for item in story.history if item.action is Action.CATEGORISED]
    return {story.ticket.category, *(value for i in steps for value in (i.before, i.after))}


def _nothing_unsent(ledger: Ledger, stories: list[Story]) -> Check:
    sent: dict[Kind, set[tuple[str, str]]] = defaultdict(set)
    refused = set()
    for write in ledger.writes:
        sent[write.kind].add((write.role, write.value))
        if write.fate is Fate.REFUSED and write.kind in (Kind.TICKET, Kind.MESSAGE, Kind.EDIT):
            refused.add(write.value)
    kind_of = {
        Action.OPENED: Kind.TICKET,
        Action.DESCRIPTION_EDITED: Kind.EDIT,
        Action.CATEGORISED: Kind.CATEGORY,
        Action.ACTIVATED: Kind.STEP,
        Action.CLOSED: Kind.STEP,
    }
    found: list[tuple[int, Kind, str, str]] = []
    for story in stories:
        for item in story.history:
            if item.role and item.action in kind_of:
                value = story.first_text if item.action is Action.OPENED else item.after
                found.append((story.ticket.id, kind_of[item.action], item.role, value or ""))
        found += [(m.ticket_id, Kind.MESSAGE, m.author.value, m.body) for m in story.messages]
    wrong = [
        f"ticket {ticket_id}: {kind.name.lower()} of {role}: {value}"
        for ticket_id, kind, role, value in found
        if (role, value) not in sent[kind] or value in refused
    ]
    return Check("nothing is there that nobody sent or that was refused", len(found), wrong)


def _contradiction(story: Story) -> str:
    """Return where replaying the history leads elsewhere than the ticket; empty where nowhere."""
    ticket, history = story.ticket, story.history
    last = {item.action: item for item in history}
    times = Counter(item.action for item in history)
    steps = [i.action for i in history if i.action in (Action.ACTIVATED, Action.CLOSED)]
    status = {(): Status.OPEN, (Action.ACTIVATED,): Status.ACTIVE}.get(tuple(steps), Status.CLOSED)
    facts = {
        "versions": [i.version for i in history] == list(range(1, ticket.version + 1)),
        "opened": times[Action.OPENED] == 1 and history[0].at == ticket.opened_at,
        "times": sorted(i.at for i in history) == [i.at for i in history],
        "modified": history[-1].at == ticket.modified_at,
        "steps": steps == [Action.ACTIVATED, Action.CLOSED][: len(steps)],
        "status": status is ticket.status,
        "closed": (ticket.closed_at == last[Action.CLOSED].at)
        if Action.CLOSED in last
        else ticket.closed_at is None,
        "messages": ticket.messages == len(story.messages) == times[Action.MESSAGE_SENT],
        "affected": ticket.affected == times[Action.AFFECTED],
        "waiting": ticket.waiting_since == _waiting_since(history),
        "description": Action.DESCRIPTION_EDITED not in last
        or last[Action.DESCRIPTION_EDITED].after == ticket.description,
        "edits": _is_chain(history, Action.DESCRIPTION_EDITED),
        "categories": _is_chain(history, Action.CATEGORISED),
    }
    if Action.CATEGORISED in last:
        by = CategorySource.HELPDESK if last[Action.CATEGORISED].role else CategorySource.CLASSIFIER
        facts["category"] = last[Action.CATEGORISED].after == ticket.category
        facts["source"] = by is ticket.category_source
    return ", ".join(name for name, holds in facts.items() if not holds)


def _waiting_since(history: Iterable[HistoryItem]) -> datetime | None:
    since: datetime | None = None
    for item in history:
        match item.action, item.role:
            case (Action.OPENED, _) | (Action.MESSAGE_SENT, Role.USER):
                since = since or item.at
            case ((Action.MESSAGE_SENT | Action.ACTIVATED | Action.CLOSED), _):
                since = None
    return since


def _is_chain(history: Iterable[HistoryItem], action: Action) -> bool:
    items = [item for item in history if item.action is action]
    return all(a.after == b.before for a, b in pairwise(items))


async def _read_everything(api: Program) -> list[Story]:
    tickets = [Ticket.model_validate(ticket) for ticket in await api.every_ticket()]
    places = asyncio.Semaphore(AT_ONCE)

    async def read(ticket: Ticket) -> Story:
        async with places:
            messages = await api.get(f"/tickets/{ticket.id}/messages")
            history = await api.get(f"/tickets/{ticket.id}/history")
        return Story(
            ticket,
            [Message.model_validate(item) for item in messages["items"]],
            [HistoryItem.model_validate(item) for item in history["items"]],
        )

    return list(await asyncio.gather(*map(read, tickets)))
