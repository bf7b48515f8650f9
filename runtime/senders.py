"""Who counts as one sender, wherever senders share something."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

# The smallest network of IPv6 that people get.
IPV6_SENDER_BITS = 64


# Asked a few times a request.
@lru_cache(maxsize=1_024)
def network_of(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or a /64 of IPv6.

    Whoever has one address of such a network has all of them.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address  # a UNIX socket has none
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((found, IPV6_SENDER_BITS), strict=False))
    return address
