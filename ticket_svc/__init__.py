"""The ticket service: REST in front, PostgreSQL behind, events through an outbox.

The only code that touches the ticket database; it never imports another service.
"""
