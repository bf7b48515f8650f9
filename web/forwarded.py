"""How the browser sees a request: over TLS or not, at which address, and from where it came.

A proxy in front changes all of that, and says what it was in `X-Forwarded-…` (what most do) or in
`Forwarded` (RFC 7239). Anybody can send these headers. So they count only where a declared proxy
has connected, and of a list only what declared proxies have added; each adds at the right end.
Nothing else reads these headers, `request.host` or `request.scheme`; nothing here refuses.

aiohttp-remotes does the like, and is not used: a list that is shorter than its setting, a hidden or
mistyped `for`, and an address with a port end in its 400 or in an IndexError.
"""

import logging
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from runtime.senders import network_of
from web.origin import SCHEMES, Origin, Place, read_origin, read_place
from web.settings import SETTINGS

log = logging.getLogger(__name__)

FORWARDED_PORT = "X-Forwarded-Port"
FORWARDED_LISTS = (
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_PROTO,
    hdrs.X_FORWARDED_HOST,
    FORWARDED_PORT,
)
# What proxies call the path under which they publish a site.
PREFIXES = ("X-Forwarded-Prefix", "X-Forwarded-Path", "X-Script-Name")


class Told(NamedTuple):
    """What declared proxies say; each is empty where they say nothing."""

    client: str
    scheme: str = ""
    host: str = ""
    port: str = ""


def client_address(request: web.Request) -> str:
    """Return the address that asks: the nearest one that is no declared proxy."""
    return _listen(request).client


def client_network(request: web.Request) -> str:
    """Return the sender that asks: an IPv4 address, or a /64 of IPv6."""
    return network_of(client_address(request))


def came_over_tls(request: web.Request) -> bool:
    """Tell whether the browser sent it over TLS."""
    return _scheme(request, _listen(request)) == "https"


def own_origin(request: web.Request) -> str:
    """Return this site's own address as the browser sees it, for people."""
    told = _listen(request)
    places = _places(request, told)
    return str(Origin(_scheme(request, told), places[0])) if places else ""


def named_host(request: web.Request) -> str:
    """Return the name or address under which the browser asks, empty where it says none.

    What cannot be read as one comes as it is: it is nobody's name.
    """
    told = _listen(request)
    places = _places(request, told)
    return places[0].host if places else told.host or request.headers.get(hdrs.HOST, "")


def is_own(request: web.Request, origin: str) -> bool:
    """Tell whether an origin that a browser names is this site.

    The scheme is not compared: where nobody says that TLS ended before, it is not known.
    """
    try:
        place = read_origin(origin).place
    except ValueError:
        return False  # no browser writes such an origin, so it is nobody's
    declared = (known.place for known in request.app[SETTINGS].origins)
    return place in _places(request, _listen(request)) or place in declared


def watch_for_path() -> Middleware:
    """Return a middleware that says once in the log that the helpdesk works under no path."""
    is_said = False

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal is_said
        path = "" if is_said or not _is_from_proxy(request) else _find_path(request)
        if path:
            is_said = True
            log.warning(
                "a proxy publishes the helpdesk under the path %.200r, where its pages find no "
                "style sheet and lead elsewhere; give it a host name of its own: docs/proxy.md",
                path,
            )
        return await handler(request)

    return watch


def _find_path(request: web.Request) -> str:
    said = [request.headers.get(name, "") for name in PREFIXES]
    if hdrs.FORWARDED in request.headers:
        said += [hop.get("path", "") for hop in request.forwarded]
    return next((path for path in said if path.strip("/ ")), "")


def _places(request: web.Request, told: Told) -> list[Place]:
    """Return where this site is; with and without the port that a proxy says apart from the host.

    That may be the port on which the proxy listens, and not the one that the browser knows.
    """
    # `request.host` would ask the name service where the header is missing.
    host = told.host or request.headers.get(hdrs.HOST, "")
    found = [read_place(f"{host}:{told.port}")] if told.port else []
    return [place for place in (*found, read_place(host)) if place]


def _scheme(request: web.Request, told: Told) -> str:
    if told.scheme:
        return told.scheme
    declared = request.app[SETTINGS].origins
    if not declared:
        return request.scheme
    # Where none of them fits, a proxy has put another host in its place.
    here = _places(request, told)
    return next((origin.scheme for origin in declared if origin.place in here), declared[0].scheme)


def _listen(request: web.Request) -> Told:
    networks = request.app[SETTINGS].trusted_proxies
    peer = _read_address(request.remote or "")
    if peer is None or not _is_from_proxy(request):
        return Told(request.remote or "")
    fors, schemes, hosts, ports = _read_lists(request)
    client, hops = _walk(peer, fors, networks)
    # How many proxies there are is not known where none is named: all that is said counts.
    known = slice(-hops, None) if networks and hops else slice(None)
    scheme = _first(schemes[known]).lower()
    return Told(
        str(client),
        scheme if scheme in SCHEMES else "",
        _first(hosts[known]),
        _first(ports[known]),
    )


def _is_from_proxy(request: web.Request) -> bool:
    """Tell whether a declared proxy has connected."""
    settings = request.app[SETTINGS]
    networks = settings.trusted_proxies
    if not networks:
        return settings.is_behind_proxy
    return _is_among(_read_address(request.remote or ""), networks)


def _read_lists(request: web.Request) -> tuple[list[str], ...]:
    """Return what is said of client, scheme, host and port, in the order of the hops.

    One family of headers counts: a proxy that writes one passes on what anybody sent in the other.
    """
    if any(name in request.headers for name in FORWARDED_LISTS):
        return tuple(
            [
                value
                for part in ",".join(request.headers.getall(name, ())).split(",")
                if (value := part.strip())
            ]
            for name in FORWARDED_LISTS
        )
    hops = request.forwarded
    return *([hop.get(key, "") for hop in hops] for key in ("for", "proto", "host")), []


def _walk(
    peer: IPv4Address | IPv6Address,
    fors: Sequence[str],
    networks: Sequence[IPv4Network | IPv6Network],
) -> tuple[IPv4Address | IPv6Address, int]:
    """Return who asks, and how many declared proxies it came through, 0 for all that said so."""
    client = peer
    for hops, text in enumerate(reversed(fors), start=1):
        address = _read_address(text)
        if address is None:
            return client, hops  # hidden by the proxy, or nonsense: nobody is known beyond it
        client = address
        if not _is_among(address, networks):
            return client, hops
    return client, 0


def _first(values: Sequence[str]) -> str:
    """Return what the outermost of some hops says; most proxies overwrite, so it may be one."""
    return next((value for value in values if value), "")


def _is_among(
    address: IPv4Address | IPv6Address | None, networks: Sequence[IPv4Network | IPv6Network]
) -> bool:
    return address is not None and any(address in network for network in networks)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of `10.0.0.1`, `10.0.0.1:4711`, `::1`, `[::1]` or `[::1]:4711`."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
