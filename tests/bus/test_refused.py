"""A broker that refuses whoever comes is away: said at once and why, and nothing is used up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aio_pika.abc import AbstractIncomingMessage

from bus.consumer import BatchConsumer
from bus.pika_services import RpcService
from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from bus.rpc_server import RpcServer
from contracts.reports import UnclosedRequest
from contracts.topology import (
    ANALYTICS_TICKETS,
    DURABLE_QUEUES,
    RPC_CLASSIFY,
    RPC_REPORT_UNCLOSED,
    TICKET_CATEGORISED,
    dead_letter_queue,
)
from tests.bus.test_pika import ask, serving, take_all
from tests.bus.test_rpc import REQUEST, Echo, echo, publish, running, until
from tests.conftest import Broker

ALL = ".*"
NONE = "^$"


@dataclass(frozen=True)
class User:
    """A user of the test's own, of whom the broker takes away what it gave."""

    broker: Broker
    name: str
    password: str = "right"

    @property
    def url(self) -> str:
        return (
            self.broker.url("web")
            .replace("//web:", f"//{self.name}:")
            .replace(self.broker.names.password("WEB_AMQP_URL"), self.password)
        )

    def have(self, password: str, **rights: str) -> None:
        """Give the user a password and rights, and end what it has open."""
        self.broker.manage("PUT", f"users/{self.name}", {"password": password, "tags": ""})
        if rights:
            given = {"configure": ALL, "write": ALL, "read": ALL} | rights
            self.broker.manage("PUT", f"permissions/{{vhost}}/{self.name}", given)
        else:
            self.broker.manage("DELETE", f"permissions/{{vhost}}/{self.name}")
        self.end_connections()

    def end_connections(self) -> None:
        self.broker.manage("DELETE", f"connections/username/{self.name}")


@pytest.fixture
async def user(broker: Broker) -> AsyncIterator[User]:
    user = User(broker, f"refused-{broker.vhost}")
    broker.manage("PUT", f"users/{user.name}", {"password": user.password, "tags": ""})
    rights = dict.fromkeys(("configure", "write", "read"), ALL)
    broker.manage("PUT", f"permissions/{{vhost}}/{user.name}", rights)
    yield user
    broker.manage("DELETE", f"users/{user.name}")


NOES: dict[str, dict[str, str]] = {
    "login": {"password": "another", "write": ALL},
    "vhost": {"password": "right"},
    "write": {"password": "right", "write": NONE},
    "read": {"password": "right", "read": NONE},
}
WORDS = {
    "login": "ACCESS_REFUSED",
    "vhost": "virtual host",
    "write": "amq.default",
    "read": "queue",
}


async def test_whatever_is_refused_nothing_is_used_up_and_all_comes_back(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[int, Any]] = []
    worked: list[int] = []

    def decode(message: AbstractIncomingMessage) -> tuple[int, Any]:
        return int(message.body), message.headers.get("x-delivery-count", 0)

    async def keep(items: list[tuple[int, Any]]) -> None:
        seen.extend(items)

    def classify(requests: Sequence[UnclosedRequest]) -> list[Echo]:
        worked.extend(request.last for request in requests)
        return [Echo(value=request.last) for request in requests]

    client = RpcClient(user.url, "test client")
    reports = RpcServer(RPC_REPORT_UNCLOSED, UnclosedRequest, echo)
    events = BatchConsumer(ANALYTICS_TICKETS, decode, keep, transient=())
    classifier = RpcService(RPC_CLASSIFY, UnclosedRequest, classify)
    sessions = (client, reports, events)
    async with (
        running(
            client.run(), reports.run(user.url, "test reports"), events.run(user.url, "test events")
        ),
        serving(user.url, classifier) as server,
    ):
        await until(lambda: server.is_connected and all(s.is_connected for s in sessions))
        for number, (name, no) in enumerate(NOES.items(), 1):
            user.have(**no)
            await until(lambda: not reports.is_connected and not server.is_connected)
            if name != "read":  # direct reply-to needs no right to read
                await until(lambda: not client.is_connected)
            await ask(user.broker, number, deferred=True)
            await publish(user.broker, ANALYTICS_TICKETS, b"%d" % number)
            started = time.monotonic()
            with pytest.raises(RpcError) as caught:
                await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 20)
            assert caught.value.code == "unavailable", name
            assert time.monotonic() - started < 2, name
            # For some tries of each, which would use up deliveries.
            await asyncio.sleep(0.5)
            for reason in (reports.link.reason, server.reason):
                assert WORDS[name] in reason.replace("access to vhost", "virtual host")
                assert user.password not in reason
            assert number not in worked, f"{name}: worked without a right to answer"
            user.have(user.password, write=ALL)
            await until(lambda number=number: (number, 0) in seen)  # type: ignore[misc]
            (answer,) = await take_all(user.broker, TICKET_CATEGORISED, 1)
            assert json.loads(answer)["result"]["value"] == number
            await until(lambda: reports.is_connected and client.is_connected)
            assert (await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)).value == 7
        assert seen == [(number, 0) for number in range(1, len(NOES) + 1)]
    for queue in DURABLE_QUEUES:
        dead = user.broker.manage("GET", f"queues/{{vhost}}/{dead_letter_queue(queue)}")
        assert dead.get("messages", 0) == 0, queue
    for word in ("virtual host", "amq.default"):
        said = [r for r in caplog.records if word in r.getMessage() and "refused" in r.getMessage()]
        assert len(said) <= 8, f"{word}: said again and again"
