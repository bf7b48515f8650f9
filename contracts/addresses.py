"""Addresses that the environment gives: one spelling for all, whatever client library reads them.

Libraries differ in what they decode and in which options they know, so each gets an address that
was taken apart and put together here. They hold passwords: a library that cannot read an address
says so with a piece of it, in every log line of every try; here only the setting's name is said.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, unquote, urlencode

_AMQP = ("amqp", "amqps")
_POSTGRESQL = ("postgresql", "postgres")
# By the end of the setting's name, the first that fits.
_SCHEMES: Final = {"_AMQP_URL": _AMQP, "_DATABASE_URL": _POSTGRESQL, "_URL": ("http", "https")}
_PORTS: Final = {
    "amqp": 5672,
    "amqps": 5671,
    "postgresql": 5432,
    "postgres": 5432,
    "http": 80,
    "https": 443,
}
# As aio-pika, and as asyncpg and libpq both understand them.
_TLS_FILES: Final = ("cafile", "certfile", "keyfile")
_POSTGRESQL_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_OPTIONS: Final = {
    "amqp": (),
    "amqps": _TLS_FILES,
    "postgresql": ("sslmode", *_POSTGRESQL_FILES, "target_session_attrs", "host", "port"),
}
_SSLMODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WHOLE = re.compile(
    r"(?P<scheme>[a-z]+)://(?:(?P<user>[^:/?#]*)(?P<password>:[^/?#]*)?@)?"
    r"(?:\[(?P<six>[^\]@/?#]+)\]|(?P<host>[^\[\]:@/?#,]*))(?::(?P<port>[0-9]*))?"
    r"(?P<more>,[^@/?#]*)?"
    r"(?P<path>/[^?#@]*)?(?:\?(?P<query>[^#@]*))?",
    re.IGNORECASE,
)
_HALF_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


class _Unusable(ValueError):
    """What is wrong, in words that follow the setting's name and hold nothing of its value."""


@dataclass(frozen=True)
class Address:
    """The parts of an address, decoded. `name` is a virtual host, a database, or a path."""

    scheme: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int
    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return it with everything encoded, as every library reads it alike."""
        login = quote(self.user, safe="")
        login += f":{quote(self.password, safe='')}" if self.password else ""
        options = dict(self.options)
        if self.host.startswith("/"):  # a socket's folder
            place, options = "", options | {"host": self.host, "port": str(self.port)}
        else:
            host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
            place = f"{host}:{self.port}"
        query = f"?{urlencode(options, quote_via=quote, safe='')}" if options else ""
        at = "@" if login else ""
        name = quote(self.name, safe="/" if self.scheme.startswith("http") else "")
        return f"{self.scheme}://{login}{at}{place}/{name}{query}"

    def without(self, *, password: bool = False, options: bool = False) -> Self:
        """Return it without its password or its options."""
        kept = replace(self, password="") if password else self
        return replace(kept, options={}) if options else kept

    def tls(self) -> ssl.SSLContext | None:
        """Return what a connection over TLS needs, None for one without; raises OSError."""
        if self.scheme != "amqps":
            return None
        context = ssl.create_default_context(cafile=self.options.get("cafile"))
        if certificate := self.options.get("certfile"):
            context.load_cert_chain(certificate, self.options.get("keyfile"))
        return context


def check_address(name: str, value: str) -> str:
    """Return the value of a setting, in the one spelling where its name ends in `_URL`.

    Raises ValueError that names the setting and shows nothing of the value.
    """
    if not any(name.endswith(end) for end in _SCHEMES):
        return value
    address = parse(name, value)
    return value if address.scheme.startswith("http") else address.url


def parse(name: str, value: str) -> Address:
    """Return the parts of the address in a setting whose name ends in `_URL`.

    Raises ValueError that names the setting and shows nothing of the value.
    """
    schemes = next(found for end, found in _SCHEMES.items() if name.endswith(end))
    try:
        return _parse(value, schemes)
    except _Unusable as error:
        raise ValueError(f"{name} {error}") from None
    except ValueError:
        raise ValueError(
            f"{name} must be an address such as {schemes[0]}://user:password@host:port/name; "
            "percent-encode what is not a letter or a digit in the password."
        ) from None


def parse_any(value: str) -> Address:
    """Return the parts of an address of whatever setting; raises ValueError."""
    return _parse(value, tuple(_PORTS))


def _parse(value: str, schemes: tuple[str, ...]) -> Address:
    whole = _WHOLE.fullmatch(value)
    if not whole or not value.isprintable() or " " in value or _HALF_ENCODED.search(value):
        raise ValueError
    scheme = whole["scheme"].lower()
    if scheme not in schemes:
        raise ValueError
    options = {}
    if not scheme.startswith("http"):
        scheme = _POSTGRESQL[0] if scheme in _POSTGRESQL else scheme
        options = _options(whole["query"], scheme)
    host = options.pop("host", "") or _decode(whole["six"] or whole["host"])
    port = options.pop("port", "") or whole["port"] or str(_PORTS[scheme])
    if whole["more"] or "," in host + port:
        raise _Unusable("names several hosts; one is supported, such as a proxy before them.")
    is_socket = host.startswith("/") and scheme in _POSTGRESQL
    if not host or ("/" in host and not is_socket) or (whole["six"] and not IPv6Address(host)):
        raise ValueError
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError
    user, password = _decode(whole["user"]), _decode((whole["password"] or "")[1:])
    path = _decode((whole["path"] or "")[1:])
    if scheme in _AMQP:
        path = path or "/"
        if not user:
            user, password = "guest", "guest"  # as RabbitMQ's documents have it
        if not password or "%2f" in path.lower():  # aio-pika would read the latter as a slash
            raise ValueError
    address = Address(scheme, user, password, host, int(port), path, options)
    try:
        address.tls()
    except OSError:
        raise _Unusable("names a file of TLS that holds no certificate or key.") from None
    return address


def _options(query: str | None, scheme: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for option in (query or "").split("&") if query else ():
        key, equals, value = option.partition("=")
        if key not in _OPTIONS[scheme] or key in options or not equals or not value:
            known = ", ".join(_OPTIONS[scheme]) or f"none, and with amqps {', '.join(_TLS_FILES)}"
            raise _Unusable(f"has an option that is not known or stands twice; known: {known}.")
        options[key] = _decode(value)
        if key in (*_TLS_FILES, *_POSTGRESQL_FILES) and not Path(options[key]).is_file():
            raise _Unusable(f"names a {key} that is no file here, or may not be read.")
    if options.get("sslmode", _SSLMODES[0]) not in _SSLMODES:
        raise _Unusable(f"has an sslmode that is none of {', '.join(_SSLMODES)}.")
    return options


def _decode(text: str | None) -> str:
    return unquote(text or "", errors="strict")
