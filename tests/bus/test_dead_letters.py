"""An operator sees why a message died and sends it again after a fix; looking changes nothing."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from bus import dead_letters
from bus.consumer import BatchConsumer
from bus.letters import _READERS
from contracts.messages import ClassifyRequest, Event
from contracts.reports import ActiveRequest
from contracts.topology import (
    ANALYTICS_TICKETS,
    DURABLE_QUEUES,
    EXCHANGE_TICKETS,
    RPC_CLASSIFY,
    RPC_REPORT_ACTIVE,
    TICKET_CATEGORISED,
    dead_letter_queue,
)
from tests.bus.test_rpc import publish, running
from tests.conftest import ROOT, Broker

TICKET = {
    "id": 7,
    "description": "The lift is stuck",
    "status": "open",
    "category": None,
    "category_source": None,
    "opened_at": "2026-05-04T08:00:00.000000Z",
    "modified_at": "2026-05-04T08:00:00.000000Z",
    "closed_at": None,
    "version": 1,
    "messages": 0,
}

# Only its consumer can tell whether it is right.
SIGNED = {"signature-analytics_svc": "as the ticket service signs"}


def event(**changes: Any) -> bytes:
    return json.dumps({"ticket": TICKET | changes}).encode()


def decode(message: AbstractIncomingMessage) -> Event:
    return Event.model_validate_json(message.body)


async def command(
    broker: Broker, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the operator's command as an operator does."""
    known = {"PATH": os.environ["PATH"], "OPERATOR_AMQP_URL": broker.url("operator")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bus", "dead-letters", *arguments],
        cwd=ROOT,
        env=known | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


async def ids(broker: Broker) -> list[str]:
    lines = (await command(broker, "list")).stdout.splitlines()[1:]
    return [line.split()[0] for line in lines]


@asynccontextmanager
async def admin(broker: Broker) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(broker.admin_url)
    async with connection:
        yield await connection.channel()


async def die(broker: Broker, *bodies: bytes, **properties: Any) -> None:
    """Let the projection's consumer refuse messages, and wait until they are dead letters."""
    for body in bodies:
        await publish(broker, ANALYTICS_TICKETS, body, **properties)
    await refuse_events(broker, len(bodies))


async def refuse_events(broker: Broker, count: int) -> None:

    async def fail(_: list[Event]) -> None:
        raise ZeroDivisionError

    consumer = BatchConsumer(ANALYTICS_TICKETS, decode, fail, transient=())
    async with running(consumer.run(broker.url("analytics_svc"), "test")):
        async with asyncio.timeout(20):
            while len(await dead_bodies(broker)) < count:
                await asyncio.sleep(0.05)


async def dead_bodies(broker: Broker, queue: str = ANALYTICS_TICKETS) -> list[bytes]:
    found = await asyncio.to_thread(dead_letters.look, broker.url("operator"), [queue])
    return [letter.body for letter in found.letters]


def test_every_queue_has_somebody_who_can_read_its_letters() -> None:
    assert set(_READERS) == set(DURABLE_QUEUES)


async def test_nothing_there_is_said(broker: Broker) -> None:
    done = await command(broker, "list")
    assert (done.returncode, done.stdout) == (0, "There are no dead letters.\n")


async def test_the_operator_reads_which_field_is_wrong(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    await die(broker, event(status="lost"), message_id="7.1", type="ticket.opened", headers=SIGNED)
    listed = await command(broker, "list")
    assert listed.returncode == 0
    id_, queue, type_, why = listed.stdout.splitlines()[1].split()[:4]
    assert (queue, type_, why) == (ANALYTICS_TICKETS, "ticket.opened", "rejected")
    shown = (await command(broker, "show", id_)).stdout
    assert "cannot be understood: ticket.status: must be 'open', 'active' or 'closed'" in shown
    assert "message_id: 7.1" in shown
    assert '"description": "The lift is stuck"' in shown
    assert "x-death" in shown
    assert f"dead letter {id_} (message 7.1)" in caplog.text


async def test_the_operator_reads_that_nobody_has_signed_it(broker: Broker) -> None:
    await die(broker, event())
    shown = (await command(broker, "show", *await ids(broker))).stdout
    assert "cannot be understood: signature: is missing" in shown


async def test_the_log_has_the_rest_beside_the_same_id(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    await die(broker, event(), message_id="7.1", headers=SIGNED)
    (id_,) = await ids(broker)
    shown = (await command(broker, "show", id_)).stdout
    assert "can be understood, but handling it failed" in shown
    assert f"beside {id_} (message 7.1)" in shown
    assert f"dead letter {id_} (message 7.1) cannot be handled" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_what_a_stranger_wrote_cannot_steer_the_terminal(broker: Broker) -> None:
    await die(broker, b"\x1b[2Jgone \xe2\x80\xae", type="\x1b]0;owned\x07")
    shown = (await command(broker, "list")).stdout
    shown += (await command(broker, "show", (await ids(broker))[0])).stdout
    assert "\\x1b[2Jgone" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


async def test_a_replay_reaches_the_queue_that_refused_it_and_nobody_else(broker: Broker) -> None:
    properties = {"message_id": "7.1", "correlation_id": "c", "content_type": "application/json"}
    await die(
        broker,
        event(version=1),
        event(version=2),
        type="ticket.opened",
        headers=SIGNED,
        **properties,
    )
    first, second = await ids(broker)
    async with admin(broker) as channel:
        others = await channel.declare_queue(exclusive=True)
        await others.bind(EXCHANGE_TICKETS, "#")
        done = await command(broker, "replay", second)
        assert (done.returncode, done.stdout) == (0, f"Sent 1 to {ANALYTICS_TICKETS} again.\n")
        assert await ids(broker) == [first]
        queue = await channel.get_queue(ANALYTICS_TICKETS, ensure=False)
        again = await queue.get(no_ack=True)
        assert again.body == event(version=2)
        assert again.type == "ticket.opened"
        assert {name: getattr(again, name) for name in properties} == properties
        assert again.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        # RabbitMQ's own beside the signatures, without which nobody would believe it.
        assert set(again.headers) - {"x-delivery-count"} == SIGNED.keys()
        assert await others.get(fail=False) is None
        assert (await command(broker, "replay", "--all")).returncode == 0
        assert (await queue.get(no_ack=True)).body == event(version=1)
    assert await ids(broker) == []


async def test_what_dies_again_comes_back_with_the_same_id(broker: Broker) -> None:
    await die(broker, event())
    before = await ids(broker)
    assert (await command(broker, "replay", *before)).returncode == 0
    assert await ids(broker) == []
    await refuse_events(broker, 1)
    assert await ids(broker) == before


async def test_a_crash_between_confirm_and_acknowledgement_doubles_and_loses_nothing(
    broker: Broker,
) -> None:
    await die(broker, event())
    found = await asyncio.to_thread(dead_letters.look, broker.url("operator"), [ANALYTICS_TICKETS])

    def publish_and_die(*letter: Any) -> None:
        dead_letters._publish(*letter)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dead_letters._take_out(broker.url("operator"), found.letters, publish_and_die)
    assert await dead_bodies(broker) == [event()]
    async with admin(broker) as channel:
        queue = await channel.get_queue(ANALYTICS_TICKETS, ensure=False)
        assert (await queue.get(no_ack=True)).body == event()


async def refuse(broker: Broker, queue: str, request: Any, **properties: Any) -> None:
    async with admin(broker) as channel:
        await publish(broker, queue, request.model_dump_json().encode(), **properties)
        source = await channel.get_queue(queue, ensure=False)
        await (await source.get()).reject(requeue=False)
    async with asyncio.timeout(10):
        while not await dead_bodies(broker, queue):
            await asyncio.sleep(0.02)


async def test_only_a_request_whose_caller_can_still_wait_is_sent_again(broker: Broker) -> None:
    await refuse(broker, RPC_REPORT_ACTIVE, ActiveRequest(), reply_to="amq.rabbitmq.reply-to.g1h2")
    await refuse(
        broker,
        RPC_CLASSIFY,
        ClassifyRequest(text="The lift is stuck"),
        reply_to=TICKET_CATEGORISED,
        headers={"CC": [TICKET_CATEGORISED]},
    )
    done = await command(broker, "replay", "--all")
    assert done.returncode == 1
    assert "its caller has long stopped waiting" in done.stderr
    assert done.stdout == f"Sent 1 to {RPC_CLASSIFY} again.\n"
    async with admin(broker) as channel:
        queue = await channel.get_queue(RPC_CLASSIFY, ensure=False)
        again = await queue.get(no_ack=True)
        assert again.reply_to == TICKET_CATEGORISED
        assert set(again.headers) <= {"x-delivery-count"}  # RabbitMQ's own
    assert await dead_bodies(broker, RPC_REPORT_ACTIVE) == [
        ActiveRequest().model_dump_json().encode()
    ]
    assert await dead_bodies(broker, RPC_CLASSIFY) == []


async def test_nothing_is_dropped_unless_somebody_says_so(broker: Broker) -> None:
    await die(broker, event(version=1), event(version=2))
    first, second = await ids(broker)
    refused = await command(broker, "drop", "--all")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert await ids(broker) == [first, second]
    for answer, left in ((b"\n", [first, second]), (b"y\n", [second])):
        keyboard, terminal = pty.openpty()
        os.write(keyboard, answer)
        await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "bus", "dead-letters", "drop", first],
            cwd=ROOT,
            env={"OPERATOR_AMQP_URL": broker.url("operator")},
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            timeout=30,
        )
        os.close(keyboard)
        os.close(terminal)
        assert await ids(broker) == left
    assert (await command(broker, "drop", second, "--yes")).stdout == "Deleted 1.\n"
    assert await ids(broker) == []


async def test_looking_changes_neither_number_nor_order(broker: Broker) -> None:
    bodies = [event(version=n) for n in range(1, 101)]
    await die(broker, *bodies)
    in_order = await dead_bodies(broker)
    assert sorted(in_order) == sorted(bodies)
    for _ in range(30):
        assert await dead_bodies(broker) == in_order
    assert len(await ids(broker)) == 100
    name = dead_letter_queue(ANALYTICS_TICKETS)
    policy: dict[str, int] = {}
    async with asyncio.timeout(20):
        while not policy:  # management knows it with its first figures, after some seconds
            await asyncio.sleep(0.2)
            queue = await asyncio.to_thread(broker.manage, "GET", f"queues/{{vhost}}/{name}")
            policy = queue.get("effective_policy_definition", {})
    # RabbitMQ 3.10 has no limit of its own; 4 has 20, and what passes it would be gone.
    assert policy["delivery-limit"] == 1_000_000_000


async def test_what_is_read_is_bounded_and_the_rest_is_named(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await die(broker, *(event(version=n) for n in range(1, 6)))
    monkeypatch.setattr(dead_letters, "LOOK_AT_MOST", 3)
    found = await asyncio.to_thread(dead_letters.look, broker.url("operator"), [ANALYTICS_TICKETS])
    assert (len(found.letters), found.behind) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "said"),
    [
        (["show", "00000000"], {}, 2, "There is no dead letter 00000000."),
        (["replay", "00000000"], {}, 2, "There is no dead letter 00000000."),
        (["drop"], {}, 2, "Name the dead letters by their ids, or say --all."),
        (["list", "--queue", "nobody"], {}, 2, "invalid choice: 'nobody'"),
        (["list"], {"OPERATOR_AMQP_URL": ""}, 2, "Set OPERATOR_AMQP_URL"),
        (["list"], {"OPERATOR_AMQP_URL": "amqp://x:y@127.0.0.1:z/campus"}, 2, "must be an address"),
        (["list"], {"OPERATOR_AMQP_URL": "amqp://x:y@127.0.0.1:1/campus"}, 1, "No broker answers"),
    ],
)
async def test_a_mistake_is_said_in_one_sentence(
    broker: Broker, arguments: list[str], environment: dict[str, str], status: int, said: str
) -> None:
    done = await command(broker, *arguments, **environment)
    assert done.returncode == status
    assert said in done.stderr.splitlines()[-1]


async def test_a_wrong_login_is_said_in_one_sentence(broker: Broker) -> None:
    url = broker.url("operator")
    password = urlsplit(url).password or ""
    refused = await command(broker, "list", OPERATOR_AMQP_URL=url.replace(password, "wrong"))
    assert refused.returncode == 2
    assert "refuses the login of operator" in refused.stderr
    nowhere = await command(broker, "list", OPERATOR_AMQP_URL=f"{url}-nowhere")
    assert nowhere.returncode == 2
    assert "may not use the virtual host" in nowhere.stderr
    await die(broker, event())
    service = await command(broker, "list", OPERATOR_AMQP_URL=broker.url("web"))
    assert service.returncode == 2
    assert "ACCESS_REFUSED" in service.stderr
