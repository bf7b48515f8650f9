"""A broker login alone makes nobody believe anything, tried with each login against real services.

Each login may put a message into any queue (RPC needs that); what the ticket service has not signed
for the very consumer becomes a dead letter, and changes nothing. The queue of a web process, whose
name nobody can guess, is written by the administrator here.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel

from bus.signatures import sign_event, sign_name
from classifier_svc.corrections import CORRECTIONS_FILE, Corrections
from contracts.messages import Event
from contracts.rest import Ticket
from contracts.topology import (
    ANALYTICS_TICKETS,
    CLASSIFIER_CORRECTIONS,
    RPC_CLASSIFY,
    TICKET_CATEGORISED,
    TICKET_EMBEDDED,
    WEB_LIVE_PREFIX,
    dead_letter_queue,
)
from contracts.vocabulary import EMBEDDING_DIMENSIONS, Category, CategorySource
from deploy.local.names import SERVICES, SIGNING_KEYS, Names
from tests.conftest import ROOT, Stack
from tests.signing import keys_of, signatures
from tests.web.conftest import Api, Person
from tests.web.listener import listening, position

LOGINS = ("web", "analytics_svc", "classifier_svc", "operator")
every_login = pytest.mark.parametrize("login", LOGINS)
INVENTED = "Nobody has ever reported this"
KIND, ID = "ticket.categorised", "900000001.9"
LETTER_SECONDS = 20.0


@pytest.fixture
async def admin(stack: Stack) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(stack.broker.admin_url) as connection:
        yield await connection.channel()


def invented(like: Ticket, number: int, **changes: Any) -> bytes:
    """Return an event of a ticket that does not exist."""
    changes |= {"id": 900_000_000 + number, "description": INVENTED, "version": 9}
    return Event(ticket=like.model_copy(update=changes)).model_dump_json().encode()


async def put(stack: Stack, login: str, queue: str, body: bytes, **properties: Any) -> None:
    """Put a message into a queue as a service could."""
    properties = {"type": KIND, "message_id": ID} | properties
    async with await aio_pika.connect(stack.broker.url(login)) as connection:
        channel = await connection.channel()
        message = aio_pika.Message(body, **properties)
        await channel.default_exchange.publish(message, queue, mandatory=True)


async def dead(admin: AbstractChannel, queue: str, count: int) -> list[Any]:
    """Return and forget the next dead letters of a queue, waiting for them."""
    letters = await admin.get_queue(dead_letter_queue(queue), ensure=False)
    found: list[Any] = []
    async with asyncio.timeout(LETTER_SECONDS):
        while len(found) < count:
            if message := await letters.get(fail=False, no_ack=True):
                found.append(message)
            else:
                await asyncio.sleep(0.02)
    return found


def refused_by_web(stack: Stack) -> float:
    """Return how many events the web tier did not believe."""
    place = urlsplit(stack["WEB_URL"])
    connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    name = 'bus_signatures_refused_total{consumer="web"}'
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


@every_login
async def test_an_invented_event_is_counted_in_no_report(
    stack: Stack, api: Api, admin: AbstractChannel, login: str
) -> None:
    like = await api.open("A true one")
    body = invented(like, 1)
    others = {"classifier_svc": keys_of("classifier_svc"), "web": keys_of("web")}
    # What somebody with a consumer's key could make of it for another consumer.
    stolen = sign_event({"analytics_svc": others["classifier_svc"]}, KIND, ID, body)
    true = signatures(b"another body", KIND, ID)
    for headers in ({}, sign_event(others, KIND, ID, body), stolen, true):
        await put(stack, login, ANALYTICS_TICKETS, body, headers={**headers})
    letters = await dead(admin, ANALYTICS_TICKETS, 4)
    assert {letter.body for letter in letters} == {body}
    sql = await asyncpg.connect(stack["ANALYTICS_DATABASE_URL"])
    try:
        async with asyncio.timeout(10):
            while not await sql.fetchval(
                "SELECT count(*) FROM ticket_state WHERE id = $1", like.id
            ):
                await asyncio.sleep(0.02)
        assert await sql.fetchval("SELECT count(*) FROM ticket_state WHERE id > 900000000") == 0
    finally:
        await sql.close()
    assert INVENTED not in stack.log("analytics_svc").read_text()
    assert "signature: is missing" in stack.log("analytics_svc").read_text()


@every_login
async def test_an_invented_correction_teaches_the_classifier_nothing(
    stack: Stack, api: Api, admin: AbstractChannel, login: str
) -> None:
    like = await api.open("A true one")
    source = CategorySource.HELPDESK
    body = invented(like, 2, category=Category.SERVICES_COMPLAINTS, category_source=source)
    others = {"analytics_svc": keys_of("analytics_svc"), "web": keys_of("web")}
    stolen = sign_event({"classifier_svc": others["analytics_svc"]}, KIND, ID, body)
    for headers in ({}, sign_event(others, KIND, ID, body), stolen):
        await put(stack, login, CLASSIFIER_CORRECTIONS, body, headers={**headers})
    await dead(admin, CLASSIFIER_CORRECTIONS, 3)
    await api.edit(like, category="facility_management")
    file = Path(stack["CLASSIFIER_DATA_DIR"]) / CORRECTIONS_FILE

    def learnt() -> set[int]:
        return {correction.ticket_id for correction in Corrections(file).read()}

    async with asyncio.timeout(10):
        while like.id not in await asyncio.to_thread(learnt):
            await asyncio.sleep(0.05)
    assert max(learnt()) < 900_000_000
    assert INVENTED not in stack.log("classifier_svc").read_text()


async def test_an_invented_event_is_in_no_open_page(
    stack: Stack, user: Person, api: Api, admin: AbstractChannel
) -> None:
    like = await api.open("A true one")
    body = invented(like, 3)
    others = {"analytics_svc": keys_of("analytics_svc")}
    stolen = sign_event({"web": others["analytics_svc"]}, KIND, ID, body)
    names = [queue["name"] for queue in stack.broker.manage("GET", "queues/{vhost}")]
    before = refused_by_web(stack)
    after = await position(user)
    live = [name for name in names if name.startswith(WEB_LIVE_PREFIX)]
    assert live
    for name in live:
        for headers in ({}, sign_event(others, KIND, ID, body), stolen):
            message = aio_pika.Message(body, type=KIND, message_id=ID, headers={**headers})
            await admin.default_exchange.publish(message, name)
    async with listening(user, f"/live?after={after}") as stream:
        await api.say(like.id, "A true message")
        heard = ""
        while "1 message" not in heard:
            heard += (await stream.message()).text
    assert INVENTED not in heard
    # The queue of presence, which holds no events, is among them.
    async with asyncio.timeout(10):
        while refused_by_web(stack) == before:  # web's figures may be a second old
            await asyncio.sleep(0.1)
    assert refused_by_web(stack) - before == 3
    assert INVENTED not in stack.log("web").read_text()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_without_its_key_ends_at_its_start_with_a_sentence(
    names: Names, service: str
) -> None:
    ports = dict.fromkeys(("web", "ticket_api", "analytics", "classifier"), 1)
    environment = replace(names, ports=ports).of_service(service)
    needed = [name for name in SIGNING_KEYS if name in environment]
    assert needed
    for name in needed:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", service),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | environment | {name: ""},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            _, said = await process.communicate()
        assert process.returncode == 2
        assert f"Set {name} in the environment" in said.decode()
        assert len(said.decode().splitlines()) == 1


ANSWER = {
    "category": "services_complaints",
    "confidence": 1,
    "scores": {},
    "because": [],
    "model": "mine",
}
VECTOR = {"vector": [1.0] + [0.0] * (EMBEDDING_DIMENSIONS - 1), "model": "mine"}


async def test_only_who_was_asked_gives_a_ticket_its_category_or_its_place(
    own_stack: Stack,
) -> None:
    stack = own_stack
    stack.stop("classifier_svc")
    sql = await asyncpg.connect(stack["TICKET_DATABASE_URL"])
    ticket = await sql.fetchval(
        "INSERT INTO tickets.ticket (description) VALUES ('Nobody was asked') RETURNING id"
    )
    stolen = sign_name(keys_of("web"), TICKET_CATEGORISED, f"{ticket}")
    categories = [f"{ticket}", f"{ticket}.", f"{ticket}.{'0' * 32}", stolen]
    places = [f"{ticket}.1", f"{ticket}.1.{'0' * 32}"]
    async with await aio_pika.connect(stack.broker.admin_url) as connection:
        admin = await connection.channel()
        for login in LOGINS:
            for queue, result, names in (
                (TICKET_CATEGORISED, ANSWER, categories),
                (TICKET_EMBEDDED, VECTOR, places),
            ):
                body = json.dumps({"result": result}).encode()
                for name in names:
                    await put(stack, login, queue, body, correlation_id=name)
                await dead(admin, queue, len(names))
            # The classifier itself would carry its answer to whatever queue it is told.
            await put(
                stack, login, RPC_CLASSIFY, b'{"text": "No light in room 3"}',
                reply_to=TICKET_CATEGORISED, correlation_id=f"{ticket}", delivery_mode=2,
            )  # fmt: skip
        await asyncio.to_thread(stack.start, "classifier_svc")
        await dead(admin, TICKET_CATEGORISED, len(LOGINS))
    assert await sql.fetchval("SELECT category FROM tickets.ticket WHERE id = $1", ticket) is None
    stored = "SELECT count(*) FROM tickets.ticket_vector WHERE model = 'mine'"
    assert await sql.fetchval(stored) == 0
    await sql.close()
