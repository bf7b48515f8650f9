"""Each part may do what it must on the broker and nothing else, tried against the broker itself.

What no table can show: RPC goes through the default exchange, which leads to every queue, so that
whoever may answer a request may also put a message into any queue. Consumers check what they get.
"""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelLockedResource

from contracts.topology import (
    DURABLE_QUEUES,
    EXCHANGE_DEAD,
    EXCHANGE_PRESENCE,
    EXCHANGE_TICKETS,
    dead_letter_queue,
)
from tests.conftest import DEFINITIONS, Broker, with_path

DEAD_QUEUES = {dead_letter_queue(queue) for queue in DURABLE_QUEUES}
REPORT_QUEUES = {queue for queue in DURABLE_QUEUES if queue.startswith("rpc.report.")}
QUEUES = sorted({*DURABLE_QUEUES, *DEAD_QUEUES})
DEFAULT_EXCHANGE = ""
EXCHANGES = (
    DEFAULT_EXCHANGE, EXCHANGE_TICKETS, EXCHANGE_DEAD, EXCHANGE_PRESENCE,
    "amq.topic", "amq.direct", "amq.fanout", "amq.headers", "amq.match", "amq.rabbitmq.trace",
)  # fmt: skip
# The whole of it: whatever is not here is refused.
USERS = ("web", "ticket_svc", "analytics_svc", "classifier_svc", "operator")
READS_QUEUES: dict[str, set[str]] = {
    "web": set(),
    "ticket_svc": {"ticket_svc.categorised", "ticket_svc.embedded"},
    "analytics_svc": {"analytics_svc.tickets"} | REPORT_QUEUES,
    "classifier_svc": {
        "rpc.classify",
        "rpc.embed",
        "rpc.corrections",
        "classifier_svc.corrections",
    },
    "operator": DEAD_QUEUES,
}
WRITES_EXCHANGES: dict[str, set[str]] = {
    "web": {DEFAULT_EXCHANGE, EXCHANGE_PRESENCE},
    "ticket_svc": {DEFAULT_EXCHANGE, EXCHANGE_TICKETS},
    "analytics_svc": {DEFAULT_EXCHANGE},
    "classifier_svc": {DEFAULT_EXCHANGE},
    "operator": {DEFAULT_EXCHANGE},
}
MINE = "web.live.mine"
MAKES_QUEUES: dict[str, set[str]] = {user: set() for user in USERS} | {"web": {MINE}}
BINDS: dict[str, set[str]] = {user: set() for user in USERS} | {
    "web": {EXCHANGE_TICKETS, EXCHANGE_PRESENCE}
}

every_user = pytest.mark.parametrize("user", USERS)


class Attempts:
    """One user's connection; each attempt has a channel of its own, since a refusal ends it."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def channel(self) -> AbstractChannel:
        return await self._connection.channel()

    async def may(self, action: Any, name: str) -> bool:
        """Tell whether the broker lets an action on a queue or an exchange pass."""
        channel = await self.channel()
        try:
            await action(channel, name)
        except ChannelAccessRefused:
            return False
        await channel.close()
        return True

    async def among(self, action: Any, names: Any) -> set[str]:
        """Return those names for which the action passes."""
        return {name for name in names if await self.may(action, name)}


@asynccontextmanager
async def connected(broker: Broker, user: str) -> AsyncIterator[Attempts]:
    connection = await aio_pika.connect(broker.url(user))
    async with connection:
        yield Attempts(connection)


async def get(channel: AbstractChannel, name: str) -> None:
    await (await channel.get_queue(name, ensure=False)).get(fail=False)


async def consume(channel: AbstractChannel, name: str) -> None:
    queue = await channel.get_queue(name, ensure=False)
    await queue.consume(_ignore)


async def _ignore(_: AbstractIncomingMessage) -> None:
    pass


async def purge(channel: AbstractChannel, name: str) -> None:
    await (await channel.get_queue(name, ensure=False)).purge()


async def declare_queue(channel: AbstractChannel, name: str) -> None:
    await channel.declare_queue(name, exclusive=True)


async def declare_durable_queue(channel: AbstractChannel, name: str) -> None:
    await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})


async def delete_queue(channel: AbstractChannel, name: str) -> None:
    await channel.queue_delete(name)


async def publish(channel: AbstractChannel, name: str) -> None:
    exchange = (
        channel.default_exchange
        if name == DEFAULT_EXCHANGE
        else await channel.get_exchange(name, ensure=False)
    )
    await exchange.publish(aio_pika.Message(b"{}"), "nobody.hears.this", mandatory=False)


async def bind(channel: AbstractChannel, name: str) -> None:
    queue = await channel.declare_queue(MINE, exclusive=True)
    await queue.bind(name, "#")
    await queue.delete(if_unused=False, if_empty=False)


async def declare_exchange(channel: AbstractChannel, name: str) -> None:
    await channel.declare_exchange(name or "amq.default", "topic", durable=True)


async def delete_exchange(channel: AbstractChannel, name: str) -> None:
    await channel.exchange_delete(name or "amq.default")


def test_the_tables_name_every_user() -> None:
    assert {user["name"] for user in DEFINITIONS["users"]} == set(USERS)


@every_user
@pytest.mark.parametrize("action", [get, consume, purge])
async def test_a_user_reads_its_own_queues_only(broker: Broker, user: str, action: Any) -> None:
    async with connected(broker, user) as attempts:
        assert await attempts.among(action, QUEUES) == READS_QUEUES[user]


@every_user
async def test_a_user_publishes_to_its_own_exchanges_only(broker: Broker, user: str) -> None:
    async with connected(broker, user) as attempts:
        assert await attempts.among(publish, EXCHANGES) == WRITES_EXCHANGES[user]


@every_user
@pytest.mark.parametrize("action", [declare_durable_queue, delete_queue])
async def test_nobody_makes_or_deletes_a_durable_queue(
    broker: Broker, user: str, action: Any
) -> None:
    async with connected(broker, user) as attempts:
        assert await attempts.among(action, [*QUEUES, "mine", "amq.mine"]) == set()


@every_user
@pytest.mark.parametrize("action", [declare_exchange, delete_exchange])
async def test_nobody_makes_or_deletes_an_exchange(broker: Broker, user: str, action: Any) -> None:
    async with connected(broker, user) as attempts:
        assert await attempts.among(action, [*EXCHANGES, "mine", "web.mine"]) == set()


@every_user
async def test_only_the_web_tier_has_queues_of_its_own(broker: Broker, user: str) -> None:
    names = {MINE, "web.live", "web.other", "mine", "ticket_svc.mine", "rpc.mine", "x.dead"}
    async with connected(broker, user) as attempts:
        assert await attempts.among(declare_queue, names) == MAKES_QUEUES[user]


@every_user
async def test_only_the_web_tier_hears_events_beside_the_projection(
    broker: Broker, user: str
) -> None:
    async with connected(broker, user) as attempts:
        heard = await attempts.among(bind, EXCHANGES[1:])
        assert heard == BINDS[user]


@every_user
async def test_nobody_binds_a_durable_queue(broker: Broker, user: str) -> None:
    async def bind_here(channel: AbstractChannel, name: str) -> None:
        queue = await channel.get_queue(name, ensure=False)
        await queue.bind(EXCHANGE_TICKETS, "#")

    async def unbind_here(channel: AbstractChannel, name: str) -> None:
        queue = await channel.get_queue(name, ensure=False)
        await queue.unbind(EXCHANGE_TICKETS, "#")

    async with connected(broker, user) as attempts:
        assert await attempts.among(bind_here, QUEUES) == set()
        assert await attempts.among(unbind_here, QUEUES) == set()


@every_user
async def test_one_process_s_live_queue_is_nobody_else_s(broker: Broker, user: str) -> None:
    async with connected(broker, "web") as theirs, connected(broker, user) as attempts:
        await (await theirs.channel()).declare_queue("web.live.theirs", exclusive=True)
        for action in (get, consume, purge, delete_queue):
            with pytest.raises((ChannelAccessRefused, ChannelLockedResource)):
                await action(await attempts.channel(), "web.live.theirs")


@every_user
async def test_no_user_enters_another_virtual_host(broker: Broker, user: str) -> None:
    other = Broker(broker.names, f"{broker.vhost}-other")
    other.manage("PUT", "vhosts/{vhost}", {})
    try:
        for vhost in (other.vhost, "/"):
            with pytest.raises((AMQPError, ConnectionError)):
                await aio_pika.connect(with_path(broker.url(user), vhost))
    finally:
        other.delete()


@pytest.mark.parametrize("login", ["guest:guest", "web:", "web:wrong", "operator:web", ":"])
async def test_nobody_else_gets_in(broker: Broker, login: str) -> None:
    parts = urlsplit(broker.admin_url)
    netloc = f"{login}@{parts.hostname}:{parts.port}"
    with pytest.raises((AMQPError, ConnectionError)):
        await aio_pika.connect(urlunsplit(parts._replace(netloc=netloc)))


def _manage(broker: Broker, user: str, method: str, path: str, body: str = "{}") -> int:
    """Return the status of a call of the management interface."""
    login = urlsplit(broker.url(user)).netloc.rpartition("@")[0]
    place = urlsplit(broker.names["RABBITMQ_MANAGEMENT_URL"])
    connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
    headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
    path = path.replace("{vhost}", broker.vhost)
    connection.request(method, f"/api/{path}", body if method != "GET" else None, headers)
    status = connection.getresponse().status
    connection.close()
    return status


LOOKS = ("whoami", "overview", "queues/{vhost}", "connections", "nodes")
CHANGES = (
    ("PUT", "queues/{vhost}/mine", "{}"),
    ("DELETE", "queues/{vhost}/rpc.classify", ""),
    ("DELETE", "queues/{vhost}/rpc.classify/contents", ""),
    ("DELETE", "exchanges/{vhost}/tickets", ""),
    ("PUT", "users/mine", '{"password": "x", "tags": "administrator"}'),
    ("PUT", "permissions/{vhost}/web", '{"configure": ".*", "write": ".*", "read": ".*"}'),
    ("PUT", "vhosts/mine", "{}"),
    ("PUT", "policies/{vhost}/mine", '{"pattern": ".*", "definition": {"max-length": 1}}'),
    ("POST", "definitions", "{}"),
    ("DELETE", "vhosts/{vhost}", ""),
)
OTHER_S_WORDS = ("analytics_svc.tickets", "ticket_svc.categorised", "rpc.classify")
PEEK = '{"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}'


@every_user
def test_services_cannot_log_in_to_management_and_the_operator_only_watches(
    broker: Broker, user: str
) -> None:
    expected = {200} if user == "operator" else {401}
    assert {_manage(broker, user, "GET", path) for path in LOOKS} == expected
    for method, path, body in CHANGES:
        assert _manage(broker, user, method, path, body) in (401, 403), path
    for queue in OTHER_S_WORDS:
        assert _manage(broker, user, "POST", f"queues/{{vhost}}/{queue}/get", PEEK) in (401, 403)
    for secret in ("users", "permissions", "users/web"):
        assert _manage(broker, user, "GET", secret) in (401, 403)
