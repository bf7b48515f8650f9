"""The pages that people see: HTML, htmx and server-sent events. Owns nothing.

Every byte it shows comes from the ticket service over REST or from RabbitMQ over RPC and events;
it never opens a database and never decides what a ticket may do next.
"""
