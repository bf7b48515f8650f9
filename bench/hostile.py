"""A few who want to stop the helpdesk from one address, and what the others notice of it.

`make overload` runs this last. The others, each of 40 at an address of their own, ask at a calm
rate; beside them one kind of hostile caller after the other works as fast as it can, and takes no
refusal for an answer. Attackers have a process of their own, which computes when nobody else does:
in the world outside they bring their own machine.
"""

import asyncio
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import count
from multiprocessing import get_context
from string import ascii_lowercase
from urllib.parse import quote_plus, urlsplit
from uuid import uuid4

import aiohttp

from bench.load import Connection, NextRequest, Tally, connect, recover
from bench.processes import resident_mib
from bench.subjects import page_request
from contracts.vocabulary import (
    DESCRIPTION_MAX_CHARACTERS,
    MESSAGE_MAX_CHARACTERS,
    Role,
)

OTHERS = 40
OTHERS_A_SECOND = 20
HOSTILE = "127.0.66.6"
ONE_OF_THEM = "127.0.1.1"
CONNECTIONS = 16
# Each is asked for so many pages at once, of which nobody reads a byte.
DEAF_SOCKETS = 80
DEAF_PAGES = 8
DEAF_RECEIVE_BYTES = 4_096
BOMBS = 40
THREAD_MESSAGES = 300
NICE_MOST = 19
# As long as a process takes to start, and attackers to be felt.
LEAD_SECONDS = 3.0
SHOWN = ("web", "ticket_svc", "postgres", "rabbitmq")


class Target:
    """What hostile callers have laid out: texts made to be slow, and a long thread."""

    def __init__(self, chance: random.Random) -> None:
        pairs = [a + b for a in ascii_lowercase for b in ascii_lowercase]
        self.words = " ".join(chance.sample(pairs, 66))
        self.thread = 0

    async def lay_out(self) -> None:
        """Write it over REST, as somebody patient does over days; raises ClientError."""
        bomb = f"{self.words} " * (DESCRIPTION_MAX_CHARACTERS // (len(self.words) + 1))
        signs = "&<" * (MESSAGE_MAX_CHARACTERS // 2 - 5)
        headers = {"Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}", "X-Role": "user"}
        async with aiohttp.ClientSession(
            os.environ["TICKET_API_URL"], headers=headers, raise_for_status=True
        ) as session:
            for _ in range(BOMBS):
                async with session.post("/v1/tickets", json={"description": bomb}) as answer:
                    self.thread = (await answer.json())["id"]
            for number in range(THREAD_MESSAGES):
                body = {"body": f"{number} {signs}"}
                async with session.post(f"/v1/tickets/{self.thread}/messages", json=body):
                    pass


Attacker = Callable[[str, Target, Counter[str]], Coroutine[None, None, None]]


async def attack(url: str, others: NextRequest, seconds: float, seed: int) -> bool:
    """Run each kind of attack for so many seconds; tell whether somebody else was failed."""
    target = Target(random.Random(seed))
    await target.lay_out()
    print(
        f"\nA flood of one: {OTHERS_A_SECOND} a second are asked by {OTHERS} others"
        f"\n{'beside':<22}{'p50 ms':>8}{'p99 ms':>8}{': calm':>8}{'failed':>8}"
        f"{'recovery s':>11}  resident MiB ({', '.join(SHOWN)}); the attackers' answers"
    )
    is_wrong = False
    kinds: tuple[tuple[str, tuple[Attacker, ...]], ...] = (
        ("nobody (warm-up)", ()),
        ("who never reads", (_never_read,)),
        ("who searches bombs", (_search,)),
        ("who posts", (_post,)),
        ("all of them", (_never_read, _search, _post)),
    )
    for name, attackers in kinds:
        # Calm before and after, each time: machines drift.
        calm = await _ask_calmly(url, others, seconds / 2)
        with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (NICE_MOST,)) as pool:
            running = asyncio.get_running_loop().run_in_executor(
                pool, _attack_for, seconds + LEAD_SECONDS, attackers, url, target
            )
            await asyncio.sleep(LEAD_SECONDS)
            tally = await _ask_calmly(url, others, seconds)
            memory = await asyncio.to_thread(resident_mib, SHOWN)
            answers = await running
        recovery = await recover(url, others, ONE_OF_THEM)
        calm.latencies += (await _ask_calmly(url, others, seconds / 2)).latencies
        ratio = tally.percentile_ms(0.99) / calm.percentile_ms(0.99)
        print(
            f"{name:<22}{tally.percentile_ms(0.5):>8.0f}{tally.percentile_ms(0.99):>8.0f}"
            f"{ratio:>8.2f}{tally.failed.total():>8}{recovery:>11.1f}"
            f"  {' '.join(f'{memory[one]:.0f}' for one in SHOWN)};"
            f" {', '.join(f'{status}: {n}' for status, n in answers.most_common())}",
            flush=True,
        )
        is_wrong |= bool(tally.failed)
    return is_wrong


async def _ask_calmly(url: str, next_request: NextRequest, seconds: float) -> Tally:
    """Let the others ask, answered or not; each has a connection, and waits for its turn on it."""
    tally = Tally()
    connections: list[Connection | None] = [None] * OTHERS
    busy = [asyncio.Lock() for _ in range(OTHERS)]

    async def ask(number: int, due: float) -> None:
        async with busy[number]:
            connection = connections[number]
            if connection is None or connection.is_lost:
                connection = await connect(url, f"127.0.1.{number + 1}")
                connections[number] = connection
            tally.count(await connection.ask(next_request()), due)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(round(seconds * OTHERS_A_SECOND)):
            due = started + number / OTHERS_A_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(number % OTHERS, due))
    for connection in filter(None, connections):
        connection.close()
    return tally


def _attack_for(
    seconds: float, attackers: tuple[Attacker, ...], url: str, target: Target
) -> Counter[str]:
    """Let attackers go on for so long, in a process of their own; return what they were told."""
    answers: Counter[str] = Counter()

    async def attack() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for attacker in attackers:
                    group.create_task(attacker(url, target, answers))

    asyncio.run(attack())
    return answers


async def _never_read(url: str, target: Target, answers: Counter[str]) -> None:
    """Ask for the largest page again and again, and read nothing; whoever is cut comes back."""
    request = page_request("GET", f"/tickets/{target.thread}", Role.USER) * DEAF_PAGES
    parts = urlsplit(url)

    async def sit() -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEAF_RECEIVE_BYTES)
                deaf.setblocking(False)
                deaf.bind((HOSTILE, 0))
                with suppress(OSError):
                    await loop.sock_connect(deaf, (parts.hostname, parts.port))
                    while True:  # nothing can be sent on one that was cut
                        await loop.sock_sendall(deaf, request)
                        await asyncio.sleep(1)
                answers["cut"] += 1
            await asyncio.sleep(0.1)

    await asyncio.gather(*(sit() for _ in range(DEAF_SOCKETS)))


async def _search(url: str, target: Target, answers: Counter[str]) -> None:
    """Search for many short words, which are in many long texts."""
    path = f"/tickets?q={quote_plus(target.words)}"
    await _hammer(url, lambda: page_request("GET", path, Role.USER), answers)


async def _post(url: str, target: Target, answers: Counter[str]) -> None:
    """Report, write under one ticket, and say "me too", without the key that pages bring."""
    numbers = count()

    def next_request() -> bytes:
        number = next(numbers)
        form = {"key": str(uuid4()), "text": f"{number} {number * 7919}" * 300}
        path = ("/tickets", f"/tickets/{target.thread}/messages", "/tickets/1/affected")
        return page_request("POST", path[number % 3], Role.USER, form)

    await _hammer(url, next_request, answers)


async def _hammer(url: str, next_request: NextRequest, answers: Counter[str]) -> None:
    async def go_on() -> None:
        while True:
            with suppress(OSError):
                connection = await connect(url, HOSTILE)
                while not connection.is_lost:
                    answers[await connection.ask(next_request())] += 1

    await asyncio.gather(*(go_on() for _ in range(CONNECTIONS)))
