"""An address as browsers name it: scheme, host and port, spelt in one way. A leaf module.

Two spellings of one address are equal here: capitals, a dot at the end, a long IPv6 address, a
host name of other letters, and the port that everybody leaves away.
"""

from typing import NamedTuple

from yarl import URL

SCHEMES = frozenset({"http", "https"})
# Whoever ends TLS for us names 443 or leaves it away, and the hop behind it may say 80 instead.
DEFAULT_PORTS = frozenset({80, 443})


class Place(NamedTuple):
    """A host and its port, None where it is a default one."""

    host: str
    port: int | None


class Origin(NamedTuple):
    """What a browser calls a site."""

    scheme: str
    place: Place

    def __str__(self) -> str:
        host, port = self.place
        name = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{name}" + (f":{port}" if port else "")


def read_origin(text: str) -> Origin:
    """Return the origin that a text such as `https://h:8443` names; raises ValueError."""
    if not text.isprintable() or " " in text:  # yarl would leave some of them away
        raise ValueError(f"not an origin: {text!r}")
    url = URL(text)
    is_bare = url.raw_path == "/" and not url.raw_query_string and not url.raw_fragment
    has_name = url.raw_user is not None or url.raw_password is not None
    host = (url.raw_host or "").removesuffix(".")
    if url.scheme not in SCHEMES or not host or has_name or not is_bare:
        raise ValueError(f"not an origin: {text!r}")
    port = url.explicit_port
    return Origin(url.scheme, Place(host, None if port in DEFAULT_PORTS else port))


def read_place(authority: str) -> Place | None:
    """Return the host and port that a `Host` header names, None where it names none."""
    try:
        return read_origin(f"http://{authority}").place
    except ValueError:
        return None
