"""Promise 1: an acknowledged write is never lost and never doubled, whoever is killed when."""

import asyncio
import random
import signal
from uuid import UUID

import aiohttp
import pytest

from contracts.topology import ANALYTICS_TICKETS, DURABLE_QUEUES, dead_letter_queue
from tests.conftest import Stack
from tests.promises.person import Program, eventually, person, program

SEED = 7
TICKETS = 60
RETRYABLE = (aiohttp.ClientError, TimeoutError, OSError)


async def persist(api: Program, path: str, body: dict[str, str], key: UUID) -> dict[str, str]:
    """Send a request until it is acknowledged, as a careful client does."""
    async with asyncio.timeout(60):
        while True:
            try:
                status, answer = await api.call("POST", path, body, Idempotency_Key=str(key))
                if status == 201:
                    return dict(answer)
                assert status == 503, answer
            except RETRYABLE:
                pass
            await asyncio.sleep(0.05)


async def test_killing_services_in_the_middle_of_work(own_stack: Stack) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    async with program(own_stack) as api:

        async def busy(number: int) -> tuple[dict[str, str], dict[str, str]]:
            await asyncio.sleep(rng.random() * 6)
            report = {"description": f"The light in room {number} is broken"}
            ticket = await persist(api, "/tickets", report, UUID(int=rng.getrandbits(128)))
            message = await persist(
                api,
                f"/tickets/{ticket['id']}/messages",
                {"body": f"Message of room {number}"},
                UUID(int=rng.getrandbits(128)),
            )
            return ticket, message

        work = asyncio.gather(*(busy(number) for number in range(TICKETS)))
        for service in ("ticket_svc", "classifier_svc", "ticket_svc", "analytics_svc"):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(own_stack.stop, service, signal.SIGKILL)
            await asyncio.to_thread(own_stack.start, service)
        acknowledged = await work

        stored = await api.every_ticket()
        assert sorted(t["id"] for t in stored) == sorted(t["id"] for t, _ in acknowledged)
        assert len({t["description"] for t in stored}) == TICKETS
        for ticket, message in acknowledged:
            thread = await api.get(f"/tickets/{ticket['id']}/messages")
            assert [m["id"] for m in thread["items"]] == [message["id"]]
            history = await api.get(f"/tickets/{ticket['id']}/history")
            actions = [item["action"] for item in history["items"]]
            assert actions.count("opened") == actions.count("message_sent") == 1
            assert [item["version"] for item in history["items"]] == [*range(1, len(actions) + 1)]

        async def all_categorised() -> bool:
            return not (await api.get("/tickets?category=none"))["items"]

        await eventually(all_categorised, 40)

    async with person(own_stack, "helpdesk") as helpdesk:

        async def reports_agree() -> bool:
            return f"{TICKETS} of {TICKETS}" in (await helpdesk.get("/analytics/unclosed")).plain

        await eventually(reports_agree, 40)
    queues = (*map(dead_letter_queue, DURABLE_QUEUES), ANALYTICS_TICKETS)

    async def empty() -> bool:
        # Management counts every few seconds.
        found = [own_stack.broker.manage("GET", f"queues/{{vhost}}/{queue}") for queue in queues]
        return not any(queue.get("messages") for queue in found)

    await eventually(empty)


async def test_a_request_that_comes_twice_at_once_is_done_once(stack: Stack) -> None:
    async with program(stack) as api:
        body = {"description": "The gate does not open"}
        key = str(UUID(int=random.Random(SEED).getrandbits(128)))
        answers = await asyncio.gather(
            *(api.call("POST", "/tickets", body, Idempotency_Key=key) for _ in range(10))
        )
        assert {status for status, _ in answers} == {201}
        assert len({ticket["id"] for _, ticket in answers}) == 1


@pytest.mark.parametrize("times", [2, 5])
async def test_sending_the_same_form_again_makes_no_second_ticket(stack: Stack, times: int) -> None:
    async with person(stack, "user") as user:
        form = (await user.get("/tickets")).hidden("/tickets")
        text = f"The door of lab {times} squeaks"
        pages = [await user.post("/tickets", text=text, **form) for _ in range(times)]
        assert len({page.address for page in pages}) == 1
