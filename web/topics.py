"""What a stream can be about, and where what it shows comes from.

A topic says which tickets concern it and loads its present state; when that is done, and who gets
it, is not decided here.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import ClassVar

from web.fragments import Fragments
from web.pages.report_question import Question
from web.variant import Variant


@dataclass(frozen=True)
class State:
    """What a topic shows now; where `digest` is the same as last time, nothing has changed.

    `draw` returns what a page needs that shows a version, 0 for all of it; None where it has to
    load itself. `version` is what it shows then; 0 where that has none.
    """

    draw: Callable[[Variant, int], str | None]
    digest: object = field(default_factory=object)
    version: Callable[[Variant], int] = lambda _: 0


@dataclass(frozen=True)
class ListTopic:
    """The list: rows come from the events themselves, so only the counts are loaded."""

    LOOKS: ClassVar = 1
    PAUSE_SECONDS: ClassVar = 0.25
    IS_KEPT: ClassVar = True

    def is_concerned(self, _ticket_id: int) -> bool:
        """Tell whether a change of a ticket may change what is shown."""
        return True

    async def load(self, fragments: Fragments, _variants: Collection[Variant]) -> State:
        """Return the present state; raises ApiError, Unavailable."""
        counts = await fragments.load_counts()
        return State(lambda variant, _: fragments.counts(counts, variant), counts)


@dataclass(frozen=True)
class TicketTopic:
    """The page of one ticket."""

    ticket_id: int
    LOOKS: ClassVar = 1
    PAUSE_SECONDS: ClassVar = 0.1
    # Open tickets are many, and each is heard by few.
    IS_KEPT: ClassVar = False

    def is_concerned(self, ticket_id: int) -> bool:
        """Tell whether a change of a ticket may change what is shown."""
        return ticket_id == self.ticket_id

    async def load(self, fragments: Fragments, variants: Collection[Variant]) -> State:
        """Return the present state; raises ApiError, Unavailable."""
        roles = {variant.role for variant in variants}
        pages = {role: await fragments.load_ticket(role, self.ticket_id) for role in roles}
        return State(
            draw=lambda variant, seen: fragments.ticket(pages[variant.role], variant, seen),
            version=lambda variant: pages[variant.role].version,
        )


@dataclass(frozen=True)
class ReportTopic:
    """A report; its projection follows the events a moment later, so it is looked at twice."""

    analysis: str
    question: Question
    LOOKS: ClassVar = 2
    PAUSE_SECONDS: ClassVar = 0.5
    IS_KEPT: ClassVar = True

    def is_concerned(self, _ticket_id: int) -> bool:
        """Tell whether a change of a ticket may change what is shown."""
        return True

    async def load(self, fragments: Fragments, variants: Collection[Variant]) -> State:
        """Return the present state; raises RpcError, ValidationError."""
        # A chart has words in it.
        pages = {
            language: await fragments.load_report(self.analysis, self.question, language)
            for language in {variant.language for variant in variants}
        }
        numbers = {language: page.numbers for language, page in pages.items()}
        return State(lambda variant, _: fragments.report(pages[variant.language], variant), numbers)


Topic = ListTopic | TicketTopic | ReportTopic
LIST = ListTopic()
