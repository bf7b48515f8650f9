"""Real servers for every test: its own database, its worker's virtual host, the whole stack.

The servers are started by `make test`; nothing here ever touches data that somebody keeps.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

import asyncpg
import pytest

from contracts.topology import DURABLE_QUEUES, dead_letter_queue
from deploy.local.names import PRIVATE, PUBLIC, SERVICES, Names, free_port
from deploy.local.servers import answers_200, wait_until
from tests.cable import Cable

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())
AMQP_NAMES = {
    "web": "WEB_AMQP_URL",
    "ticket_svc": "TICKET_AMQP_URL",
    "analytics_svc": "ANALYTICS_AMQP_URL",
    "classifier_svc": "CLASSIFIER_AMQP_URL",
    "operator": "OPERATOR_AMQP_URL",
}
_database_numbers = count()
_stack_numbers = count()


def pytest_configure(config: pytest.Config) -> None:
    missing = [name for name in (*PUBLIC, *PRIVATE, "CAMPUS_HOME") if name not in os.environ]
    if missing:
        raise pytest.UsageError(
            f"The tests need servers of their own ({', '.join(missing)} not set): run `make test`, "
            'or `make test ARGS="tests/web -k live"` for some of them.'
        )


def with_path(url: str, path: str) -> str:
    """Return the URL with another path, percent-encoded as one segment."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(path, safe='')}"))


@pytest.fixture
def folder_of_our_own() -> Iterator[Path]:
    """Lend a folder of which another run of pytest by the same user takes back no rights."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def names() -> Names:
    """Return the names of the servers that this run of the tests has."""
    values = {name: os.environ[name] for name in (*PUBLIC, *PRIVATE)}
    return Names(values, ports={})


async def create_database(names: Names, worker_id: str) -> str:
    """Make a fresh, migrated, empty database with both schemas, and return its name."""
    name = f"test_{worker_id}_{next(_database_numbers)}"
    postgres = urlsplit(names["TICKET_DATABASE_URL"])
    connection = await asyncpg.connect(
        host=postgres.hostname,
        port=postgres.port,
        user="postgres",
        password=names["POSTGRES_PASSWORD"],
        database="postgres",
    )
    try:
        # Nobody is connected to `campus` while tests run: it is the migrated template.
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE campus")
    finally:
        await connection.close()
    return name


@pytest.fixture
async def database(names: Names, worker_id: str) -> str:
    """Return the name of a fresh, migrated, empty database with both schemas."""
    return await create_database(names, worker_id)


@pytest.fixture
def ticket_database_url(names: Names, database: str) -> str:
    return with_path(names["TICKET_DATABASE_URL"], database)


@pytest.fixture
def analytics_database_url(names: Names, database: str) -> str:
    return with_path(names["ANALYTICS_DATABASE_URL"], database)


@dataclass(frozen=True)
class Broker:
    """A virtual host with the queues, policies and rights of `definitions.json`."""

    names: Names
    vhost: str

    def url(self, user: str) -> str:
        """Return the AMQP address for one of the users of the definitions."""
        return with_path(self.names[AMQP_NAMES[user]], self.vhost)

    @property
    def admin_url(self) -> str:
        """Return the AMQP address of the administrator, who may look into any queue."""
        parts = urlsplit(self.names["WEB_AMQP_URL"])
        netloc = f"admin:{self.names['RABBITMQ_ADMIN_PASSWORD']}@{parts.hostname}:{parts.port}"
        return with_path(urlunsplit(parts._replace(netloc=netloc)), self.vhost)

    def manage(self, method: str, path: str, body: Any = None) -> Any:
        """Call the management API as administrator; `{vhost}` in the path is filled in."""
        credentials = b64encode(f"admin:{self.names['RABBITMQ_ADMIN_PASSWORD']}".encode())
        request = Request(
            f"{self.names['RABBITMQ_MANAGEMENT_URL']}/api/{path.replace('{vhost}', self.vhost)}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Basic {credentials.decode()}",
                "Content-Type": "application/json",
            },
        )
        with urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def create(self) -> None:
        """Make the virtual host as the definitions say."""
        self.manage("PUT", "vhosts/{vhost}", {})
        for permission in DEFINITIONS["permissions"]:
            self.manage("PUT", f"permissions/{{vhost}}/{permission['user']}", permission)
        self.manage(
            "PUT", "permissions/{vhost}/admin", dict.fromkeys(("configure", "write", "read"), ".*")
        )
        for limits in DEFINITIONS["parameters"]:
            for name, value in limits["value"].items():
                self.manage("PUT", f"vhost-limits/{{vhost}}/{name}", {"value": value})
        kinds = ("policies", "exchanges", "queues", "bindings")
        self.manage("POST", "definitions/{vhost}", {kind: DEFINITIONS[kind] for kind in kinds})

    def purge(self) -> None:
        """Empty every durable queue."""
        for queue in DURABLE_QUEUES:
            for name in (queue, dead_letter_queue(queue)):
                self.manage("DELETE", f"queues/{{vhost}}/{name}/contents")

    def delete(self) -> None:
        """Remove the virtual host and everything in it."""
        try:
            self.manage("DELETE", "vhosts/{vhost}")
        except HTTPError as error:  # pragma: no cover
            print(f"{self.vhost} stays: {error}", file=sys.stderr)


@pytest.fixture(scope="session")
def _worker_broker(names: Names, worker_id: str) -> Iterator[Broker]:
    broker = Broker(names, f"test-{worker_id}")
    broker.create()
    yield broker
    broker.delete()


@pytest.fixture
def broker(_worker_broker: Broker) -> Broker:
    """Return the worker's virtual host with every queue empty."""
    _worker_broker.purge()
    return _worker_broker


@dataclass(frozen=True)
class Stack:
    """The four services as real processes on a database and virtual host of their own."""

    names: Names
    broker: Broker
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    # Beyond what the names say, by service.
    settings: dict[str, dict[str, str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.names[name]

    def start(self, service: str) -> None:
        """Start a service and wait until it is ready."""
        log = self.log(service)
        with log.open("ab") as output:
            self.processes[service] = subprocess.Popen(
                [sys.executable, "-m", service],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]}
                # All of a test's people come from one address.
                | {"WEB_LIMITS": "off"}
                | self.names.of_service(service)
                | self.settings.get(service, {}),
                stdout=output,
                stderr=output,
            )
        wait_until(service, lambda: answers_200(self.health(service)), log)

    def stop(self, service: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End a service and return its exit status."""
        process = self.processes.pop(service)
        process.send_signal(how)
        return process.wait(timeout=20)

    def log(self, service: str) -> Path:
        """Return the file with what a service says."""
        return Path(os.environ["CAMPUS_HOME"]) / "log" / f"{self.broker.vhost}-{service}.log"

    def health(self, service: str) -> str:
        """Return the address that answers 200 while a service is ready."""
        ports = self.names.ports
        address = {
            "web": f"{ports['web']}/health/ready",
            "ticket_svc": f"{ports['ticket_api']}/health/ready",
            "analytics_svc": f"{ports['analytics']}/health/ready",
            "classifier_svc": f"{ports['classifier']}/metrics",
        }[service]
        return f"http://127.0.0.1:{address}"


def free_ports() -> dict[str, int]:
    """Return a port for each service."""
    return {part: free_port() for part in ("web", "ticket_api", "analytics", "classifier")}


@asynccontextmanager
async def run_stack(
    names: Names,
    label: str,
    cables: dict[str, Cable] | None = None,
    services: Sequence[str] = SERVICES,
) -> AsyncIterator[Stack]:
    """Run the four services, or some, on a database and virtual host of their own.

    `cables` names the servers ("broker", "database") that are reached through a cable.
    """
    database = await create_database(names, label)
    broker = Broker(names, f"stack-{label}")
    broker.create()
    values = dict(names.values)
    cables = cables or {}
    for name in ("TICKET_DATABASE_URL", "ANALYTICS_DATABASE_URL"):
        url = with_path(names[name], database)
        values[name] = cables["database"].through(url) if "database" in cables else url
    for user, name in AMQP_NAMES.items():
        url = broker.url(user)
        values[name] = cables["broker"].through(url) if "broker" in cables else url
    ports = free_ports()
    values["WEB_URL"] = f"http://127.0.0.1:{ports['web']}"
    values["TICKET_API_URL"] = f"http://127.0.0.1:{ports['ticket_api']}"
    values["CLASSIFIER_DATA_DIR"] = f"{os.environ['CAMPUS_HOME']}/classifier-{label}"
    stack = Stack(replace(names, values=values, ports=ports), broker)
    try:
        # In a thread: the cables are in this loop, and a service needs them to become ready.
        for service in services:
            await asyncio.to_thread(stack.start, service)
        yield stack
    finally:
        running = list(stack.processes)
        statuses = {service: await asyncio.to_thread(stack.stop, service) for service in running}
        broker.delete()
    assert set(statuses.values()) <= {0}, f"SIGTERM did not end every service cleanly: {statuses}"


@pytest.fixture(scope="session")
async def stack(names: Names, worker_id: str) -> AsyncIterator[Stack]:
    """Return the running helpdesk; shared by the tests of a worker, so look for your own ticket."""
    async with run_stack(names, f"{worker_id}_shared") as stack:
        yield stack


@pytest.fixture
async def own_stack(names: Names, worker_id: str) -> AsyncIterator[Stack]:
    """Return a helpdesk of which a test may kill parts."""
    async with run_stack(names, f"{worker_id}_{next(_stack_numbers)}") as stack:
        yield stack


@pytest.fixture
async def cabled_stack(
    names: Names, worker_id: str
) -> AsyncIterator[tuple[Stack, dict[str, Cable]]]:
    """Return a helpdesk whose cables to the broker and to the database can be cut."""
    async with (
        Cable(names["WEB_AMQP_URL"]) as broker,
        Cable(names["TICKET_DATABASE_URL"]) as database,
    ):
        cables = {"broker": broker, "database": database}
        async with run_stack(names, f"{worker_id}_{next(_stack_numbers)}", cables) as stack:
            yield stack, cables
