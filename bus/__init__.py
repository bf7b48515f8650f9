"""How messages travel: connections that come back, RPC client and servers, consumer, publisher.

Knows `contracts`, never a service. Bodies are JSON; nothing is pickled.
"""
