"""Lives through stories by REST, as user and helpdesk would, at the times of the clock.

May be interrupted and repeated: every write carries a key or is one that can be made only once.
"""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid5

import aiohttp
from tqdm import tqdm  # type: ignore[import-untyped]

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.messages import Classification, ClassifyRequest
from contracts.rest import Counts, Ticket
from contracts.topology import RPC_CLASSIFY
from contracts.vocabulary import Action, Category, Role, Status
from demo.stories import Step, Story

WRITERS = 8
CLASSIFY_SECONDS = 5.0
CONNECT_SECONDS = 5.0
REPLIES = Path(__file__).with_name("replies.toml")
MOVES = {Action.ACTIVATED: Status.ACTIVE, Action.CLOSED: Status.CLOSED}
# A closed ticket, a step already made, a title taken: an earlier run or a person was faster.
CONFLICT = 409


class PlayError(Exception):
    """The helpdesk does not take it; said in one sentence."""


class Helpdesk:
    """The REST interface and the classifier of the helpdesk that runs."""

    def __init__(self, session: aiohttp.ClientSession, rpc: RpcClient) -> None:
        self._session = session
        self._rpc = rpc
        self.corrections = 0

    async def live(self, story: Story) -> None:
        """Open the story's ticket and do what its steps say."""
        ticket = await self._open(story)
        if ticket is None:
            return
        for step in story.steps:
            await self._do(step, story, ticket)

    async def keep_replies(self) -> None:
        """Give helpdesk its canned replies; one whose title is there stays as it is."""
        for reply in tomllib.loads(REPLIES.read_text(encoding="utf-8"))["reply"]:
            await self._call("POST", "/v1/replies", Role.HELPDESK, reply)

    async def counts(self) -> Counts:
        """Return how many tickets stand at each status, the demo's or not."""
        _, answer = await self._call("GET", "/v1/tickets/counts", Role.HELPDESK)
        return Counts.model_validate(answer)

    async def _open(self, story: Story) -> Ticket | None:
        """Return the ticket; None where an earlier run has closed it already."""
        body: dict[str, str] = {"description": story.description}
        if category := await self._classify(story.description):
            body["category"] = category
        status, answer = await self._call(
            "POST",
            "/v1/tickets",
            Role.USER,
            body,
            {"Idempotency-Key": str(story.key)},
            accepted=(403, 422),
        )
        if answer.get("code") == "idempotency_key_reused":
            # Reported before, when the classifier said something else.
            return Ticket.model_validate(answer["ticket"])
        if status == 403 and answer.get("closed_at"):
            return None
        if status >= 400:
            raise PlayError(f"The helpdesk refuses a report: {answer['detail']}")
        return Ticket.model_validate(answer)

    async def _do(self, step: Step, story: Story, ticket: Ticket) -> None:
        path = f"/v1/tickets/{ticket.id}"
        if status := MOVES.get(step.action):
            await self._call("PUT", f"{path}/status", step.role, {"status": status})
        else:
            key = {"Idempotency-Key": str(uuid5(story.key, step.text))}
            await self._call("POST", f"{path}/messages", step.role, {"body": step.text}, key)
        if step.action is Action.ACTIVATED and ticket.category is not story.category:
            await self._call(
                "PATCH", path, step.role, {"category": story.category}, {"If-Match": "*"}
            )
            self.corrections += 1

    async def _classify(self, text: str) -> Category | None:
        request = ClassifyRequest(text=text)
        try:
            found = await self._rpc.call(RPC_CLASSIFY, request, Classification, CLASSIFY_SECONDS)
        except RpcError:
            return None  # the outbox asks for it later
        return found.category

    async def _call(
        self,
        method: str,
        path: str,
        role: Role,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        accepted: tuple[int, ...] = (),
    ) -> tuple[int, dict[str, Any]]:
        try:
            async with self._session.request(
                method, path, json=body, headers={"X-Role": role, **(headers or {})}
            ) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PlayError(f"The helpdesk does not answer any more: {error!r}") from error
        if status >= 400 and status not in (CONFLICT, *accepted):
            raise PlayError(f"{method} {path} answered {status}: {answer.get('detail')}")
        return status, answer


@asynccontextmanager
async def helpdesk(url: str, token: str, amqp_url: str) -> AsyncIterator[Helpdesk]:
    """Yield the helpdesk; raises PlayError where none runs."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        try:
            async with asyncio.timeout(CONNECT_SECONDS), session.get("/health/live"):
                pass
        except (aiohttp.ClientError, TimeoutError):
            raise PlayError(f"No helpdesk answers at {url}: start one with `make run`.") from None
        async with _classifier(amqp_url) as rpc:
            yield Helpdesk(session, rpc)


@asynccontextmanager
async def _classifier(amqp_url: str) -> AsyncIterator[RpcClient]:
    """Yield a client that is connected, or one that goes on trying where the broker is away."""
    rpc = RpcClient(amqp_url, "demo")
    running = asyncio.create_task(rpc.run())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                while not rpc.is_connected:  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.02)
        yield rpc
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def play(desk: Helpdesk, stories: Iterable[Story], total: int) -> None:
    """Live through the stories, in their order, several at a time."""
    remaining = iter(stories)
    with tqdm(total=total, desc="tickets", unit="", leave=False, disable=None) as bar:

        async def write() -> None:
            for story in remaining:
                await desk.live(story)
                bar.update()

        await asyncio.gather(*(write() for _ in range(WRITERS)))
