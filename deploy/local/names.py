"""Which address, port and secret each part of a local run has; kept between runs in `env`.

A name set in the environment wins over what an earlier run has kept, and that over the default.
Knows nothing of processes.
"""

import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

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
# In the order in which each is ready without those behind it.
SERVICES = ("ticket_svc", "classifier_svc", "analytics_svc", "web")
# The public names of DESIGN.md, in the order in which they are written.
PUBLIC = (
    "WEB_URL",
    "TICKET_API_URL",
    "TICKET_API_TOKEN",
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


def is_listening(url: str) -> bool:
    """Tell whether something answers at the address of a URL."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or HOST, parts.port or 0), timeout=1).close()
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
        return urlsplit(self.values[url_name]).password or ""

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
    "web": ("TICKET_API_URL", "TICKET_API_TOKEN", "WEB_AMQP_URL", "CAMPUS_TIMEZONE"),
    "ticket_svc": ("TICKET_DATABASE_URL", "TICKET_AMQP_URL", "TICKET_API_TOKEN"),
    "analytics_svc": (
        "ANALYTICS_DATABASE_URL",
        "ANALYTICS_AMQP_URL",
        "TICKET_API_URL",
        "TICKET_API_TOKEN",
        "CAMPUS_TIMEZONE",
    ),
    "classifier_svc": ("CLASSIFIER_AMQP_URL", "CLASSIFIER_DATA_DIR", "CAMPUS_TIMEZONE"),
}
_PORTS_OF = {
    "web": lambda names: {"WEB_HOST": HOST, "WEB_PORT": _port(names["WEB_URL"])},
    "ticket_svc": lambda names: {
        "TICKET_HOST": HOST,
        "TICKET_PORT": _port(names["TICKET_API_URL"]),
    },
    "analytics_svc": lambda names: {
        "ANALYTICS_HOST": HOST,
        "ANALYTICS_PORT": str(names.ports["analytics"]),
    },
    "classifier_svc": lambda names: {
        "CLASSIFIER_METRICS_PORT": str(names.ports["classifier"]),
    },
}


def _port(url: str) -> str:
    return str(urlsplit(url).port)


def choose(home: Path, *, free_ports: bool, environment: Mapping[str, str] = os.environ) -> Names:
    """Return the names of the run that keeps its data in `home`.

    With `free_ports` (tests) only the environment and chance decide, so that runs never meet.
    """
    kept = {} if free_ports else read(home / "env")
    given = frozenset(name for name in (*PUBLIC, *PRIVATE) if environment.get(name))
    known = kept | {name: environment[name] for name in given}
    ports = {part: free_port() if free_ports else port for part, port in DEFAULT_PORTS.items()} | {
        part: int(_port(known[name]))
        for part, name in {
            "web": "WEB_URL",
            "ticket_api": "TICKET_API_URL",
            "amqp": "WEB_AMQP_URL",
            "management": "RABBITMQ_MANAGEMENT_URL",
            "postgres": "TICKET_DATABASE_URL",
        }.items()
        if name in known
    }
    defaults = {
        "WEB_URL": f"http://{HOST}:{ports['web']}",
        "TICKET_API_URL": f"http://{HOST}:{ports['ticket_api']}",
        "TICKET_API_TOKEN": secrets.token_urlsafe(24),
        "RABBITMQ_MANAGEMENT_URL": f"http://{HOST}:{ports['management']}",
        "RABBITMQ_OPERATOR_PASSWORD": secrets.token_urlsafe(12),
        "RABBITMQ_ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(12),
        "CAMPUS_TIMEZONE": "Europe/Rome",
        "CLASSIFIER_DATA_DIR": str(home.absolute() / "classifier"),
    }
    for name, user in _AMQP.items():
        password = secrets.token_urlsafe(12)
        defaults[name] = f"amqp://{user}:{password}@{HOST}:{ports['amqp']}/campus"
    # The operator has one password, on the pages and here; it may have been changed since.
    password = known.get("RABBITMQ_OPERATOR_PASSWORD") or defaults["RABBITMQ_OPERATOR_PASSWORD"]
    defaults["OPERATOR_AMQP_URL"] = f"amqp://operator:{password}@{HOST}:{ports['amqp']}/campus"
    if "OPERATOR_AMQP_URL" not in given:
        known.pop("OPERATOR_AMQP_URL", None)
    for name, user in _DATABASE.items():
        password = secrets.token_urlsafe(12)
        defaults[name] = f"postgresql://{user}:{password}@{HOST}:{ports['postgres']}/campus"
    return Names(
        {name: known.get(name) or defaults[name] for name in (*PUBLIC, *PRIVATE)}, ports, given
    )


def read(file: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file, none where there is no file."""
    if not file.exists():
        return {}
    lines = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {name: value for name, _, value in lines}


def write(file: Path, names: Names) -> None:
    """Keep the names for the next run and for scripts; readable by their owner only."""
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in names.values.items()))
