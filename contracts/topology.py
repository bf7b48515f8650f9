"""Names on RabbitMQ. `deploy/rabbitmq/definitions.json` declares them; a test holds both equal."""

from typing import Final

from contracts.vocabulary import Action

VHOST: Final = "campus"

RPC_CLASSIFY: Final = "rpc.classify"
RPC_EMBED: Final = "rpc.embed"
RPC_CORRECTIONS: Final = "rpc.corrections"
RPC_REPORT_UNCLOSED: Final = "rpc.report.unclosed_in_period"
RPC_REPORT_RESOLUTION: Final = "rpc.report.resolution_time_by_month"
RPC_REPORT_ACTIVE: Final = "rpc.report.active_by_category"
RPC_QUEUES: Final = (
    RPC_CLASSIFY,
    RPC_EMBED,
    RPC_CORRECTIONS,
    RPC_REPORT_UNCLOSED,
    RPC_REPORT_RESOLUTION,
    RPC_REPORT_ACTIVE,
)

# Late answers of the classifier, for tickets that were stored without a category.
TICKET_CATEGORISED: Final = "ticket_svc.categorised"
# Vectors of descriptions, behind similar tickets.
TICKET_EMBEDDED: Final = "ticket_svc.embedded"
# What helpdesk corrected, for the next model.
CLASSIFIER_CORRECTIONS: Final = "classifier_svc.corrections"
# Every event, for the projection behind the reports.
ANALYTICS_TICKETS: Final = "analytics_svc.tickets"
DURABLE_QUEUES: Final = (
    *RPC_QUEUES,
    TICKET_CATEGORISED,
    TICKET_EMBEDDED,
    CLASSIFIER_CORRECTIONS,
    ANALYTICS_TICKETS,
)

# The topic exchange of events, and the direct reply queue that RabbitMQ gives each channel.
EXCHANGE_TICKETS: Final = "tickets"
# Fanout between web processes: who is at a ticket. Not durable: nothing of it is worth keeping.
EXCHANGE_PRESENCE: Final = "presence"
# Takes what was refused or redelivered too often, to `<queue>.dead`. What only came too late is
# dropped.
EXCHANGE_DEAD: Final = "dead"
# What has come back so often may be what kills whoever takes it, and is taken alone. Far below the
# queues' limit of deliveries; a killed service or a lost broker is no suspicion.
SUSPECT_RETURNS: Final = 5
DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
# Each web process binds exclusive queues of its own, under this prefix.
WEB_LIVE_PREFIX: Final = "web.live."

EVENT_OF_ACTION: Final = {
    Action.OPENED: "ticket.opened",
    Action.DESCRIPTION_EDITED: "ticket.modified",
    Action.CATEGORISED: "ticket.categorised",
    Action.ACTIVATED: "ticket.activated",
    Action.CLOSED: "ticket.closed",
    Action.MESSAGE_SENT: "message.sent",
    Action.DUPLICATE_MARKED: "ticket.modified",
    Action.DUPLICATE_UNMARKED: "ticket.modified",
    Action.AFFECTED: "ticket.modified",
}


def dead_letter_queue(queue: str) -> str:
    """Return the name of the queue that keeps what `queue` could not take."""
    return f"{queue}.dead"
