"""What lists hear of a ticket's latest event, rendered once for each variant; sends nothing."""

from dataclasses import dataclass, field

from contracts.rest import Ticket
from contracts.vocabulary import Role
from web.fragments import Fragments
from web.streams import message
from web.variant import Variant


@dataclass(eq=False)
class Change:
    """A ticket as its latest event shows it, and what lists get to see of it."""

    id: int
    ticket: Ticket
    # Users hear of a closing, and of nothing that happens to a closed ticket.
    id_for_users: int
    _messages: dict[Variant, str] = field(default_factory=dict)

    def id_for(self, variant: Variant) -> int:
        """Return the id of the event that tells the variant all that it may know."""
        return self.id_for_users if variant.role is Role.USER else self.id

    def text(self, fragments: Fragments, variant: Variant) -> str:
        """Return the change as server-sent events, rendered the first time."""
        if variant not in self._messages:
            row = fragments.row(self.ticket, variant)
            facts = fragments.facts(self.ticket, variant)
            text = message(row, event_id=self.id_for(variant)) + message(facts, event="ticket")
            self._messages[variant] = text
        return self._messages[variant]
