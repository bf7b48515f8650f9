"""The whole table of addresses (DESIGN.md, "Web: the addresses")."""

from aiohttp import web

from web.pages import (
    affected,
    analytics,
    bulk,
    classifier,
    entry,
    health,
    hints,
    next_ticket,
    preferences,
    replies,
    static,
    stream,
    ticket,
    tickets,
)

ID = "{id:[0-9]{1,16}}"
ANALYSIS = "{analysis:unclosed|resolution|active}"

ROUTES = (
    web.get("/", entry.show),
    web.post("/enter", entry.enter),
    web.post("/leave", entry.leave),
    web.post("/preferences", preferences.choose),
    web.get("/tickets", tickets.show),
    web.post("/tickets", tickets.report),
    web.post("/tickets/bulk", bulk.change),
    web.get("/tickets/hints", hints.show),
    web.get("/tickets/next", next_ticket.show),
    web.get(f"/tickets/{ID}", ticket.show),
    web.get(f"/tickets/{ID}/similar", ticket.show_similar),
    web.post(f"/tickets/{ID}/description", ticket.edit_description),
    web.post(f"/tickets/{ID}/category", ticket.correct_category),
    web.post(f"/tickets/{ID}/status", ticket.move),
    web.post(f"/tickets/{ID}/messages", ticket.send_message),
    web.post(f"/tickets/{ID}/typing", stream.tell_typing),
    web.post(f"/tickets/{ID}/duplicate", ticket.mark_duplicate),
    web.post(f"/tickets/{ID}/affected", affected.count),
    web.get("/replies", replies.show),
    web.post("/replies", replies.add),
    web.get(f"/replies/{ID}", replies.show_text),
    web.post(f"/replies/{ID}", replies.replace),
    web.post(f"/replies/{ID}/delete", replies.delete),
    web.get("/analytics", analytics.choose),
    web.get("/analytics/all", analytics.show_all),
    web.get(f"/analytics/{ANALYSIS}", analytics.show),
    web.get(f"/analytics/{ANALYSIS}.{{kind:svg|csv}}", analytics.download),
    web.get("/classifier", classifier.show),
    web.get("/live", stream.show, allow_head=False),
    web.get("/health/live", health.live),
    web.get("/health/ready", health.ready),
    web.get("/metrics", health.metrics),
    web.get("/static/{name}", static.show),
)
