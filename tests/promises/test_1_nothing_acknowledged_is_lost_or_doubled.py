"""Promise 1: an acknowledged write is never lost and never doubled.

That it holds whatever is killed when is shown by `tests/faults`; here nothing dies.
"""

import asyncio
import random
from uuid import UUID

import pytest

from tests.conftest import Stack
from tests.promises.person import person, program

SEED = 7


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
