"""Addresses that the environment gives, checked once at the start.

They hold passwords. A library that cannot read an address says so with a piece of it, in every log
line of every try; here only the name of the setting is said.
"""

from urllib.parse import SplitResult, urlsplit

_POSTGRESQL = ("postgresql", "postgres")
# By the end of the setting's name, the first that fits.
_SCHEMES = {
    "_AMQP_URL": ("amqp", "amqps"),
    "_DATABASE_URL": _POSTGRESQL,
    "_URL": ("http", "https"),
}


def check_address(name: str, value: str) -> None:
    """Check the value of a setting whose name ends in `_URL`; any other passes.

    Raises ValueError that names the setting and shows nothing of the value.
    """
    schemes = next((found for end, found in _SCHEMES.items() if name.endswith(end)), ())
    if not schemes:
        return
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in schemes and _has_host(parts) and _is_whole(value, parts)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(
            f"{name} must be an address such as {schemes[0]}://user:password@host:port/name; "
            "percent-encode what is not a letter or a digit in the password."
        )


def _has_host(parts: SplitResult) -> bool:
    # PostgreSQL takes several hosts, and none for a socket.
    hosts = parts.netloc.rpartition("@")[2].split(",")
    split = [urlsplit(f"//{host}") for host in hosts]
    return all(one.port != 0 and (one.hostname or parts.scheme in _POSTGRESQL) for one in split)


def _is_whole(value: str, parts: SplitResult) -> bool:
    # A `/`, `?` or `#` inside a password ends the host too early, and leaves the `@` behind.
    is_cut = "@" in value and "@" not in parts.netloc
    return value.isprintable() and " " not in value and not is_cut
