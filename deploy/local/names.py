"""Which address, port and secret each part of a local run has; kept between runs in `env`.

A name set in the environment wins over what an earlier run has kept, and that over the default.
Knows nothing of processes.
"""

import os
import re
import secrets
import shlex
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from contracts.addresses import parse, parse_any
from deploy.local.moved import CLASSIFIER_FOLDER, MADE_IN, without_folders_of_another

HOST = "127.0.0.1"
# Our own ports, beside the standard ones of a RabbitMQ or PostgreSQL that already runs here.
DEFAULT_PORTS = {
    "web": 8080,
    "ticket_api": 8081,
    "analytics": 8083,
    "classifier": 8084,
    "amqp": 5673,
    "management": 15673,
    "prometheus": 15693,
    "erlang_distribution": 25693,
    "epmd": 4379,
    "postgres": 5433,
}
# Where each part's port is set: in an address, or as a number. CAMPUS_PORT_SHIFT moves all that are
# not set so, for another copy on the same machine.
URL_OF_PORT = {
    "web": "WEB_URL",
    "ticket_api": "TICKET_API_URL",
    "amqp": "WEB_AMQP_URL",
    "management": "RABBITMQ_MANAGEMENT_URL",
    "postgres": "TICKET_DATABASE_URL",
}
NAME_OF_PORT = {
    "analytics": "ANALYTICS_PORT",
    "classifier": "CLASSIFIER_METRICS_PORT",
    "prometheus": "CAMPUS_PROMETHEUS_PORT",
    "erlang_distribution": "CAMPUS_ERLANG_PORT",
    "epmd": "CAMPUS_EPMD_PORT",
}
PORT_SHIFT = "CAMPUS_PORT_SHIFT"
# In the order in which each is ready without those behind it.
SERVICES = ("ticket_svc", "classifier_svc", "analytics_svc", "web")
# What the ticket service signs events with, one a consumer, and what it asks the classifier.
SIGNING_KEYS = (
    "WEB_EVENTS_KEY",
    "ANALYTICS_EVENTS_KEY",
    "CLASSIFIER_EVENTS_KEY",
    "TICKET_ANSWERS_KEY",
)
# The public names of DESIGN.md, in the order in which they are written.
PUBLIC = (
    "WEB_URL",
    "TICKET_API_URL",
    "TICKET_API_TOKEN",
    "WEB_SECRET",
    *SIGNING_KEYS,
    "WEB_AMQP_URL",
    "TICKET_AMQP_URL",
    "ANALYTICS_AMQP_URL",
    "CLASSIFIER_AMQP_URL",
    "OPERATOR_AMQP_URL",
    "RABBITMQ_MANAGEMENT_URL",
    "RABBITMQ_OPERATOR_PASSWORD",
    "TICKET_DATABASE_URL",
    "ANALYTICS_DATABASE_URL",
    "CAMPUS_TIMEZONE",
    "CLASSIFIER_DATA_DIR",
)
# The superusers of our own servers; nobody but the operator of this machine needs them.
PRIVATE = ("RABBITMQ_ADMIN_PASSWORD", "POSTGRES_PASSWORD")
_AMQP = {
    "WEB_AMQP_URL": "web",
    "TICKET_AMQP_URL": "ticket_svc",
    "ANALYTICS_AMQP_URL": "analytics_svc",
    "CLASSIFIER_AMQP_URL": "classifier_svc",
}
_DATABASE = {"TICKET_DATABASE_URL": "ticket_svc", "ANALYTICS_DATABASE_URL": "analytics_svc"}
AMQP_URLS = tuple(_AMQP)
DATABASE_URLS = tuple(_DATABASE)
URLS_OF_PORT = {
    "web": ("WEB_URL",),
    "ticket_api": ("TICKET_API_URL",),
    "amqp": (*AMQP_URLS, "OPERATOR_AMQP_URL"),
    "management": ("RABBITMQ_MANAGEMENT_URL",),
    "postgres": DATABASE_URLS,
}
# What a shell would not take as it stands behind `NAME=`.
_NEEDS_QUOTES = re.compile(r"[\s&;|<>()$`\"'\\#~]")


def free_port() -> int:
    """Return a port on which nothing listens now.

    Below the range from which the kernel takes ports for outgoing connections: one of those could
    be taken between this answer and the server's start. For other runs that start meanwhile the
    port is marked by a UDP socket of the same number, for as long as this process lives.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        mark = socket.socket(type=socket.SOCK_DGRAM)
        with socket.socket() as probe, suppress(OSError):
            mark.bind((HOST, port))
            probe.bind((HOST, port))
            mark.detach()
            return port
        mark.close()


def host_of(url: str) -> str:
    """Return the host that a URL names, or the folder of a UNIX socket."""
    return parse_any(url).host


def listening_host(url: str) -> str:
    """Return where to listen for what asks at a URL; `localhost` need not be known here."""
    host = host_of(url)
    return HOST if host.lower() == "localhost" else host


def port_of(url: str) -> int:
    """Return the port that a URL names, or that its scheme has."""
    return parse_any(url).port


def is_listening(url: str) -> bool:
    """Tell whether something answers at the address of a URL."""
    address = parse_any(url)
    try:
        if address.host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(f"{address.host}/.s.PGSQL.{address.port}")
        else:
            socket.create_connection((address.host, address.port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Names:
    """The names and values of one run; `given` are those that the environment set."""

    values: dict[str, str]
    ports: dict[str, int]
    given: frozenset[str] = field(default_factory=frozenset)

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def password(self, url_name: str) -> str:
        """Return the password inside one of the URLs."""
        return parse(url_name, self.values[url_name]).password

    @property
    def has_own_broker(self) -> bool:
        """Tell whether this run brings its broker; one that is named and answers is used."""
        return not ("WEB_AMQP_URL" in self.given and is_listening(self["WEB_AMQP_URL"]))

    @property
    def has_own_database(self) -> bool:
        """Tell whether this run brings its database; one that is named and answers is used."""
        url = self["TICKET_DATABASE_URL"]
        return not ("TICKET_DATABASE_URL" in self.given and is_listening(url))

    def of_service(self, service: str) -> dict[str, str]:
        """Return the environment of one service: its own part and no more."""
        return {name: self.values[name] for name in _NEEDS[service]} | _PORTS_OF[service](self)


_NEEDS = {
    "web": (
        "TICKET_API_URL",
        "TICKET_API_TOKEN",
        "WEB_SECRET",
        "WEB_AMQP_URL",
        "WEB_EVENTS_KEY",
        "CAMPUS_TIMEZONE",
    ),
    "ticket_svc": ("TICKET_DATABASE_URL", "TICKET_AMQP_URL", "TICKET_API_TOKEN", *SIGNING_KEYS),
    "analytics_svc": (
        "ANALYTICS_EVENTS_KEY",
        "ANALYTICS_DATABASE_URL",
        "ANALYTICS_AMQP_URL",
        "TICKET_API_URL",
        "TICKET_API_TOKEN",
        "CAMPUS_TIMEZONE",
    ),
    "classifier_svc": (
        "CLASSIFIER_AMQP_URL",
        "CLASSIFIER_EVENTS_KEY",
        "CLASSIFIER_DATA_DIR",
        "CAMPUS_TIMEZONE",
    ),
}
_PORTS_OF = {
    "web": lambda names: {
        "WEB_HOST": listening_host(names["WEB_URL"]),
        "WEB_PORT": str(port_of(names["WEB_URL"])),
    },
    "ticket_svc": lambda names: {
        "TICKET_HOST": listening_host(names["TICKET_API_URL"]),
        "TICKET_PORT": str(port_of(names["TICKET_API_URL"])),
    },
    "analytics_svc": lambda names: {
        "ANALYTICS_HOST": HOST,
        "ANALYTICS_PORT": str(names.ports["analytics"]),
    },
    "classifier_svc": lambda names: {
        "CLASSIFIER_METRICS_PORT": str(names.ports["classifier"]),
    },
}


def choose(home: Path, *, free_ports: bool, environment: Mapping[str, str] = os.environ) -> Names:
    """Return the names of the run that keeps its data in `home`.

    With `free_ports` (tests) only the environment and chance decide, so that runs never meet.
    """
    kept = {} if free_ports else read(home / "env")
    given = frozenset(
        name for name in (*PUBLIC, *PRIVATE, *NAME_OF_PORT.values()) if environment.get(name)
    )
    ports = _choose_ports(kept, given, environment, free_ports=free_ports)
    known = without_folders_of_another(home, kept) | {name: environment[name] for name in given}
    defaults = {
        "WEB_URL": f"http://{HOST}:{ports['web']}",
        "TICKET_API_URL": f"http://{HOST}:{ports['ticket_api']}",
        "TICKET_API_TOKEN": secrets.token_urlsafe(24),
        "WEB_SECRET": secrets.token_urlsafe(24),
        "RABBITMQ_MANAGEMENT_URL": f"http://{HOST}:{ports['management']}",
        "RABBITMQ_OPERATOR_PASSWORD": secrets.token_urlsafe(12),
        "RABBITMQ_ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(12),
        "CAMPUS_TIMEZONE": "Europe/Rome",
        "CLASSIFIER_DATA_DIR": str(home.absolute() / CLASSIFIER_FOLDER),
    }
    defaults |= {name: secrets.token_urlsafe(24) for name in SIGNING_KEYS}
    for name, user in _AMQP.items():
        password = secrets.token_urlsafe(12)
        defaults[name] = f"amqp://{user}:{password}@{HOST}:{ports['amqp']}/campus"
    # The operator has one password, on the pages and here; it may have been changed since.
    password = known.get("RABBITMQ_OPERATOR_PASSWORD") or defaults["RABBITMQ_OPERATOR_PASSWORD"]
    login = f"operator:{quote(password, safe='')}"
    defaults["OPERATOR_AMQP_URL"] = f"amqp://{login}@{HOST}:{ports['amqp']}/campus"
    if "OPERATOR_AMQP_URL" not in given:
        known.pop("OPERATOR_AMQP_URL", None)
    for name, user in _DATABASE.items():
        password = secrets.token_urlsafe(12)
        defaults[name] = f"postgresql://{user}:{password}@{HOST}:{ports['postgres']}/campus"
    values = {name: known.get(name) or defaults[name] for name in (*PUBLIC, *PRIVATE)}
    for part, names in URLS_OF_PORT.items():
        host = host_of(values[URL_OF_PORT[part]])
        for name in set(names) - given:
            values[name] = _moved(values[name], host, ports[part])
    return Names(values, ports, given)


def _choose_ports(
    kept: Mapping[str, str],
    given: frozenset[str],
    environment: Mapping[str, str],
    *,
    free_ports: bool,
) -> dict[str, int]:
    shift = environment.get(PORT_SHIFT)
    ports = {}
    for part, default in DEFAULT_PORTS.items():
        name = URL_OF_PORT.get(part) or NAME_OF_PORT[part]
        if name in given:
            value = environment[name]
        elif name in kept and not shift:
            value = kept[name]
        else:
            ports[part] = free_port() if free_ports else default + int(shift or 0)
            continue
        ports[part] = port_of(value) if part in URL_OF_PORT else int(value)
    return ports


def _moved(url: str, host: str, port: int) -> str:
    address = parse_any(url)
    moved = replace(address, host=host, port=port)
    return url if moved == address else moved.url.removesuffix("/")


def read(file: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file, none where there is no file."""
    if not file.exists():
        return {}
    lines = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {name: _unquoted(value) for name, _, value in lines}


def write(file: Path, names: Names) -> None:
    """Keep the names for the next run and for scripts; readable by their owner only.

    A shell can read the file too: `. .local/env`.
    """
    values = names.values | {name: str(names.ports[part]) for part, name in NAME_OF_PORT.items()}
    values[MADE_IN] = str(file.parent.absolute())
    # On a full disk the earlier one stays: without its passwords nobody reads the data.
    part = file.with_name(f"{file.name}.part")
    part.touch(mode=0o600)
    part.write_text("".join(f"{name}={_quoted(value)}\n" for name, value in values.items()))
    part.replace(file)


def _quoted(value: str) -> str:
    return shlex.quote(value) if _NEEDS_QUOTES.search(value) else value


def _unquoted(value: str) -> str:
    return shlex.split(value)[0] if value.startswith("'") else value
