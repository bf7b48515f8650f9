"""A broker that refuses whoever comes is away: said at once and why, and nothing is used up."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aio_pika.abc import AbstractIncomingMessage

from bus import connection
from bus.consumer import BatchConsumer
from bus.pika_services import RpcService
from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from bus.rpc_server import RpcServer
from contracts.reports import UnclosedRequest
from contracts.topology import (
    ANALYTICS_TICKETS,
    RPC_CLASSIFY,
    RPC_REPORT_UNCLOSED,
    TICKET_CATEGORISED,
    dead_letter_queue,
)
from tests.bus.test_pika import ask, count, serving, take_all
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


async def test_who_is_refused_says_so_at_once_and_uses_up_no_event(
    user: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RECONNECT_MAX_SECONDS", 0.4)
    seen: list[tuple[int, Any]] = []

    def decode(message: AbstractIncomingMessage) -> tuple[int, Any]:
        return int(message.body), message.headers.get("x-delivery-count", 0)

    async def keep(items: list[tuple[int, Any]]) -> None:
        seen.extend(items)

    client = RpcClient(user.url, "test client")
    reports = RpcServer(RPC_REPORT_UNCLOSED, UnclosedRequest, echo)
    events = BatchConsumer(ANALYTICS_TICKETS, decode, keep, transient=())
    sessions = (client, reports, events)
    async with running(
        client.run(), reports.run(user.url, "test reports"), events.run(user.url, "test events")
    ):
        await until(lambda: all(session.is_connected for session in sessions))
        for number, (name, no) in enumerate(NOES.items(), 1):
            user.have(**no)
            # Direct reply-to needs no right to read.
            refused = sessions[1:2] if name == "read" else sessions[:2]
            await until(lambda refused=refused: not any(s.is_connected for s in refused))  # type: ignore[misc]
            await publish(user.broker, ANALYTICS_TICKETS, b"%d" % number)
            started = time.monotonic()
            with pytest.raises(RpcError) as caught:
                await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 20)
            assert caught.value.code == "unavailable", name
            assert time.monotonic() - started < 2, name
            await until(lambda name=name: WORDS[name] in reports.link.reason)  # type: ignore[misc]
            assert user.password not in reports.link.reason
            user.have(user.password, write=ALL)
            await until(lambda number=number: (number, 0) in seen)  # type: ignore[misc]
            await until(lambda: reports.is_connected and client.is_connected)
            assert (await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)).value == 7
    assert seen == [(number, 0) for number in range(1, len(NOES) + 1)]
    assert await count(user.broker, dead_letter_queue(ANALYTICS_TICKETS)) == 0
    for word in (WORDS["vhost"], WORDS["write"]):
        said = [record for record in caplog.records if word in record.getMessage()]
        assert len(said) <= len(sessions), f"{word}: said again and again"
    # In this thread: aio-pika closes what it forgot in whichever collects it.
    gc.collect()
    await asyncio.sleep(0)


async def test_a_worker_that_may_not_answer_takes_no_request(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    worked: list[int] = []

    def classify(requests: Sequence[UnclosedRequest]) -> list[Echo]:
        worked.extend(request.last for request in requests)
        return [Echo(value=request.last) for request in requests]

    async with serving(user.url, RpcService(RPC_CLASSIFY, UnclosedRequest, classify)) as server:
        await until(lambda: server.is_connected)
        user.have(user.password, write=NONE)
        await until(lambda: "amq.default" in server.link.reason)
        await ask(user.broker, 1, deferred=True)
        # For some tries, each of which would use up a delivery.
        await asyncio.sleep(0.5)
        assert worked == []
        user.have(user.password, write=ALL)
        (answer,) = await take_all(user.broker, TICKET_CATEGORISED, 1)
        assert json.loads(answer)["result"]["value"] == 1
    assert worked == [1]
    said = [r for r in caplog.records if r.name == "bus.pika_server" and "amq" in r.getMessage()]
    assert len(said) == 1
