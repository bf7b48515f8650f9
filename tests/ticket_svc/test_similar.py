"""Similar tickets: vectors come late and stay true to their tickets, and meaning decides."""

import asyncio
import json
from pathlib import Path

import aio_pika
import aiohttp
import pytest

from contracts.messages import EmbedRequest
from contracts.topology import RPC_EMBED, TICKET_EMBEDDED, dead_letter_queue
from contracts.vocabulary import EMBEDDING_DIMENSIONS
from tests.conftest import run_stack
from tests.signing import asked
from tests.ticket_svc.conftest import serve
from ticket_svc import embedded

PAIRS = Path(__file__).with_name("similar_pairs.jsonl")
SHOWN = 3
MODEL = "test"


def vector(*first):
    """Return a vector that begins with these numbers."""
    return [*first, *[0.0] * (EMBEDDING_DIMENSIONS - len(first))]


def result(numbers, model=MODEL):
    return {"result": {"vector": numbers, "model": model}}


class Encoder:
    """Answers requests for vectors as the classifier would, with those that a test gives."""

    def __init__(self, channel):
        self._channel = channel
        self.model = MODEL
        self.vectors = {}
        self.asked = []

    async def serve(self):
        """Answer from now on; a text without a vector gets no answer."""
        queue = await self._channel.get_queue(RPC_EMBED, ensure=False)
        await queue.consume(self._answer, no_ack=True)

    async def _answer(self, message):
        text = EmbedRequest.model_validate_json(message.body).text
        self.asked.append(text)
        if (numbers := self.vectors.get(text)) is not None:
            await self._send(result(numbers, self.model), message.correlation_id, message.reply_to)

    async def put(self, body, name):
        """Answer as if the ticket service had asked about "<ticket>.<version>"."""
        await self._send(body, asked(TICKET_EMBEDDED, name), TICKET_EMBEDDED)

    async def _send(self, body, correlation_id, queue):
        message = aio_pika.Message(json.dumps(body).encode(), correlation_id=correlation_id)
        await self._channel.default_exchange.publish(message, queue)


@pytest.fixture
async def channel(broker):
    """Return a channel of the administrator."""
    async with await aio_pika.connect(broker.admin_url) as connection:
        yield await connection.channel()


@pytest.fixture
def encoder(channel):
    return Encoder(channel)


async def until(sql, query, expected):
    """Return once the query gives what is expected."""
    async with asyncio.timeout(10):
        while (found := await sql.fetchval(query)) != expected:
            await asyncio.sleep(0.02)
    return found


async def similar(api, path, **params):
    answer = await api.call("GET", f"/v1/tickets/{path}similar", params=params, expect=200)
    return [(item["ticket"]["id"], item["score"]) for item in answer.body["items"]]


VERSIONS = "SELECT array_agg(version ORDER BY ticket_id) FROM ticket_vector"


async def test_report_and_new_description_ask_for_their_vector(api_with_broker, channel):
    api = api_with_broker
    ticket = await api.open("No light", category="technical_it")
    await api.edit(ticket, description="Dark")
    queue = await channel.get_queue(RPC_EMBED, ensure=False)
    found = []
    async with asyncio.timeout(5):
        while len(found) < 2:
            if message := await queue.get(fail=False, no_ack=True):
                text = EmbedRequest.model_validate_json(message.body).text
                found.append((text, message.correlation_id, message.reply_to, message.expiration))
    assert found == [
        ("No light", asked(TICKET_EMBEDDED, f"{ticket['id']}.1"), TICKET_EMBEDDED, None),
        ("Dark", asked(TICKET_EMBEDDED, f"{ticket['id']}.2"), TICKET_EMBEDDED, None),
    ]


async def test_the_vector_of_the_newest_description_stays(api_with_broker, encoder, sql):
    ticket = await api_with_broker.open()
    for version in (3, 2, 3, 1):
        await encoder.put(result(vector(version / 10)), f"{ticket['id']}.{version}")
    last = await api_with_broker.open()
    await encoder.put(result(vector(1)), f"{last['id']}.1")
    await until(sql, VERSIONS, [3, 1])
    kept = await sql.fetchval("SELECT embedding::real[] FROM ticket_vector ORDER BY ticket_id")
    assert kept[0] == pytest.approx(0.3, abs=0.001)


async def test_a_closed_ticket_has_no_vector(api_with_broker, encoder, sql):
    api = api_with_broker
    ticket, other = await api.open(), await api.open()
    await encoder.put(result(vector(1)), f"{ticket['id']}.1")
    await until(sql, VERSIONS, [1])
    await api.close(ticket)
    assert await sql.fetchval(VERSIONS) is None
    await encoder.put(result(vector(1)), f"{ticket['id']}.1")
    await encoder.put(result(vector(1)), f"{other['id']}.1")
    await until(sql, VERSIONS, [1])
    assert await sql.fetchval("SELECT ticket_id FROM ticket_vector") == other["id"]


async def test_closing_takes_also_the_vector_that_is_just_stored(
    api_with_broker, encoder, sql, blocked
):
    api = api_with_broker
    ticket = await api.open()
    await api.move(ticket, "active")
    async with sql.transaction():
        await sql.execute("SELECT FROM ticket WHERE id = $1 FOR SHARE", ticket["id"])
        await sql.execute(
            "INSERT INTO ticket_vector SELECT $1, 1, 'test', ($2::text)::halfvec",
            ticket["id"],
            str(vector(1)),
        )
        closing = asyncio.create_task(api.move(ticket, "closed"))
        await blocked(1)
    assert (await closing).status == 200
    assert await sql.fetchval("SELECT count(*) FROM ticket_vector") == 0


async def test_an_answer_without_a_vector_is_a_dead_letter_and_the_rest_goes_on(
    api_with_broker, encoder, channel, sql
):
    ticket = await api_with_broker.open()
    name = f"{ticket['id']}.1"
    error = {"error": {"code": "bad_request", "message": "text: must not be empty"}}
    wrong = [(error, name), (result([1.0]), name), (result(vector(1)), "7"), ([], name)]
    wrong.append((result(vector(1e9)), name))
    for body, about in wrong:
        await encoder.put(body, about)
    await encoder.put(result(vector(1)), name)
    await until(sql, VERSIONS, [1])
    dead = await channel.get_queue(dead_letter_queue(TICKET_EMBEDDED), ensure=False)
    async with asyncio.timeout(10):
        for _ in wrong:
            while not await dead.get(fail=False, no_ack=True):
                await asyncio.sleep(0.02)
    await until(sql, "SELECT count(*) FROM outbox", 0)
    asked = await channel.get_queue(RPC_EMBED)
    assert asked.declaration_result.message_count == 1  # by the report, and never again


async def test_meaning_and_places_decide_and_a_ticket_is_not_similar_to_itself(
    api_with_broker, encoder, sql
):
    api = api_with_broker
    encoder.vectors = {
        "Beamer kaputt, Hörsaal 1": vector(0.8, 0.6),
        "projector broken, hall 2": vector(1.0),
        "no light": vector(0.0, 0.0, 1.0),
        "projector broken, hall 1": vector(1.0),
    }
    await encoder.serve()
    right, elsewhere, _ = [await api.open(text) for text in list(encoder.vectors)[:3]]
    await until(sql, VERSIONS, [1, 1, 1])
    expected = [
        (right["id"], pytest.approx(0.9, abs=0.01)),
        (elsewhere["id"], pytest.approx(0.6, abs=0.01)),
    ]
    assert await similar(api, "", text="projector broken, hall 1") == expected
    assert await similar(api, "", text="projector broken, hall 1", limit=1) == expected[:1]
    same = await api.open("projector broken, hall 1")
    await until(sql, VERSIONS, [1, 1, 1, 1])
    assert await similar(api, f"{same['id']}/") == expected


async def test_an_original_stands_for_its_duplicates_as_long_as_it_is_not_closed(
    api_with_broker, encoder, sql
):
    api = api_with_broker
    encoder.vectors = {
        "lift hangs": vector(0.6, 0.8), "lift stuck": vector(1.0), "lift": vector(1.0)
    }  # fmt: skip
    await encoder.serve()
    original, duplicate = await api.open("lift hangs"), await api.open("lift stuck")
    await until(sql, VERSIONS, [1, 1])
    body = {"ticket": original["id"]}
    await api.call("PUT", f"/v1/tickets/{duplicate['id']}/duplicate_of", json=body, expect=200)
    assert await similar(api, "", text="lift") == [(original["id"], 1.0)]
    assert await similar(api, f"{original['id']}/") == []
    await api.close(original)
    assert await similar(api, "", text="lift") == [(duplicate["id"], 1.0)]


async def test_without_an_answer_in_time_words_decide(api_with_broker, encoder, sql):
    api = api_with_broker
    ticket = await api.open("The wifi in the library is slow")
    await encoder.put(result(vector(1)), f"{ticket['id']}.1")
    await until(sql, VERSIONS, [1])
    assert await similar(api, "", text="wifi library") != []  # nobody serves the queue
    await encoder.serve()
    started = asyncio.get_running_loop().time()
    assert await similar(api, "", text="wifi in library") != []  # nobody answers this text
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_a_ticket_without_vector_is_compared_by_words(api):
    ticket, other = [await api.open(f"The wifi is {how} slow") for how in ("very", "rather")]
    assert [number for number, _ in await similar(api, f"{ticket['id']}/")] == [other["id"]]


async def test_what_has_no_vector_is_asked_for_once_and_again_for_another_model(
    ticket_database_url, broker, encoder, sql, monkeypatch
):
    monkeypatch.setattr(embedded, "LOOK_SECONDS", 0.1)
    texts = [f"Problem {n}" for n in range(2 * embedded.ASKED_AT_ONCE + 1)]
    # As a restore or a migration leaves them.
    await sql.execute("INSERT INTO ticket (description) SELECT unnest($1::text[])", texts)
    closed = "INSERT INTO ticket (description, status, closed_at) VALUES ('Done', 'closed', now())"
    await sql.execute(closed)
    encoder.vectors = dict.fromkeys([embedded.LOOK.text, *texts], vector(1.0))
    del encoder.vectors["Problem 5"]  # is asked for in vain, and not for ever
    count = "SELECT count(*) FROM ticket_vector WHERE model = "
    async with serve(ticket_database_url, broker.url("ticket_svc")):
        await encoder.serve()
        await until(sql, f"{count} 'test'", len(texts) - 1)
        looks = encoder.asked.count(embedded.LOOK.text)
        async with asyncio.timeout(5):
            while encoder.asked.count(embedded.LOOK.text) < looks + 3:
                await asyncio.sleep(0.02)
        assert sorted(set(encoder.asked) - {embedded.LOOK.text}) == sorted(texts)
        assert len(encoder.asked) - encoder.asked.count(embedded.LOOK.text) == len(texts)
        encoder.model = "newer"
        await until(sql, f"{count} 'newer'", len(texts) - 1)


@pytest.mark.timeout(300)
async def test_of_95_of_100_pairs_the_right_ticket_is_among_the_first_three(names, worker_id):
    pairs = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    opened = [text for pair in pairs for text in (pair["ticket"], *pair.get("elsewhere", ()))]
    async with run_stack(
        names, f"{worker_id}_similar", services=("ticket_svc", "classifier_svc")
    ) as stack:
        headers = {
            "Authorization": f"Bearer {stack['TICKET_API_TOKEN']}",
            "X-Role": "user",
        }
        async with aiohttp.ClientSession(stack["TICKET_API_URL"], headers=headers) as api:
            for text in opened:
                body = {"description": text, "category": "technical_it"}
                async with api.post("/v1/tickets", json=body) as answer:
                    assert answer.status == 201
            async with asyncio.timeout(60):
                while await stored(api) < len(opened):
                    await asyncio.sleep(0.1)
            missed = [pair["typed"] for pair in pairs if not await is_found(api, pair)]
    assert len(missed) <= 0.05 * len(pairs), missed


async def stored(api):
    """Return how many vectors the service has stored."""
    async with api.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    [line] = [line for line in lines if line.startswith("ticket_vectors_stored_total ")]
    return float(line.split()[1])


async def is_found(api, pair):
    params = {"text": pair["typed"], "limit": SHOWN}
    async with api.get("/v1/tickets/similar", params=params) as answer:
        items = (await answer.json())["items"]
    return pair["ticket"] in [item["ticket"]["description"] for item in items]
