"""`python -m bench.classify`: how fast the classifier answers, beside RabbitMQ's own round trip.

Run by `make bench-classify` on throwaway servers. The workers are started here: one, then two.
The texts are all different, so that nothing is remembered. Prints medians over the rounds.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from statistics import median

# As the workers do, before numpy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bench import fill
from bench.floors import web_floors
from bench.load import Run, Tally, call_load
from bench.processes import memory_mib
from bench.subjects import RPC_TIMEOUT_SECONDS, rpc_client
from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from classifier_svc import encoder, model
from contracts.messages import Classification, ClassifyRequest
from contracts.topology import RPC_CLASSIFY

ROUNDS = 3
# More than the workers remember.
TEXTS = 4_000
BATCHES = (1, 8, 64)
IN_FLIGHT = 64
STEADY_PER_SECOND = 200


def main() -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.classify", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one of the three rounds")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("bench needs throwaway servers: run `make bench-classify`.", file=sys.stderr)
        return 2
    texts = make_texts(options.seed)
    for line in in_process(texts):
        print(line, flush=True)
    return asyncio.run(over_rabbitmq(texts, options.seconds))


def make_texts(seed: int) -> list[str]:
    """Return reports of the demo's kind, each with a room of its own."""
    chance = random.Random(seed)
    return [f"{fill.problem(chance)[1]}, room {number}" for number in range(TEXTS)]


def in_process(texts: list[str]) -> Iterator[str]:
    """Yield how many texts one core classifies, by how many come at once."""
    space = encoder.load()
    for name, known in (
        ("words and meaning", model.load(space)),
        ("words alone", model.load(None)),
    ):
        waiting = iter(cycle(texts))
        for batch in BATCHES:
            rates = []
            for _ in range(ROUNDS):
                started, done = time.perf_counter(), 0
                while time.perf_counter() - started < 1.0:
                    known.classify([next(waiting) for _ in range(batch)])
                    done += batch
                rates.append(done / (time.perf_counter() - started))
            yield f"{name:20} {batch:3} at once {median(rates):7.0f} /s"


async def over_rabbitmq(texts: list[str], seconds: float) -> int:
    """Measure workers over RabbitMQ in turn with its ping-pong; return 1 where one failed."""
    waiting = cycle(texts)
    failed = 0
    async with web_floors() as (_, _, ping), rpc_client() as client:

        async def classify(_worker: int) -> Classification:
            request = ClassifyRequest(text=next(waiting))
            return await client.call(RPC_CLASSIFY, request, Classification, RPC_TIMEOUT_SECONDS)

        run = call_load(classify)
        for workers in (1, 2):
            async with started_workers(workers, client) as processes:
                await run(8, 1.0)  # unmeasured
                for name, load, in_flight in (
                    ("one caller", run, 1),
                    (f"{IN_FLIGHT} in flight", run, IN_FLIGHT),
                    (f"{STEADY_PER_SECOND} a second", steady(classify), STEADY_PER_SECOND),
                    ("floor: ping-pong, one", ping, 1),
                    (f"floor: ping-pong, {IN_FLIGHT}", ping, IN_FLIGHT),
                ):
                    rounds = [await load(in_flight, seconds) for _ in range(ROUNDS)]
                    failed += sum(sum(tally.failed.values()) for tally in rounds)
                    print(f"{workers} workers  {name:24} {describe(rounds)}", flush=True)
                memory = max(memory_mib([process.pid]) for process in processes)
                print(f"{workers} workers  resident {memory:.0f} MiB each at most")
    return 1 if failed else 0


def steady(call: Callable[[int], Awaitable[object]]) -> Run:
    """Return the load of so many calls a second, sent whether or not earlier ones are answered."""

    async def run(per_second: int, seconds: float) -> Tally:
        tally = Tally()
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def one(due: float) -> None:
            await asyncio.sleep(due - loop.time())
            begun = time.perf_counter()
            try:
                await call(0)
            except RpcError as error:
                tally.failed[error.code] += 1
            else:
                tally.latencies.append(time.perf_counter() - begun)

        await asyncio.gather(
            *(one(started + n / per_second) for n in range(int(per_second * seconds)))
        )
        tally.seconds = loop.time() - started
        return tally

    return run


@asynccontextmanager
async def started_workers(
    n: int, client: RpcClient
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Run n workers for as long as the block lasts."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "classifier_svc", stderr=asyncio.subprocess.DEVNULL
        )
        for _ in range(n)
    ]
    try:
        answered = 0
        while answered < 20 * n:
            try:
                request = ClassifyRequest(text="The lift is stuck")
                await client.call(RPC_CLASSIFY, request, Classification, RPC_TIMEOUT_SECONDS)
                answered += 1
            except RpcError:
                await asyncio.sleep(0.2)
        await asyncio.sleep(2.0)  # the second worker connects a little later
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def describe(rounds: list[Tally]) -> str:
    """Return the medians of the rounds."""
    return (
        f"{median(tally.rate for tally in rounds):7.0f} /s"
        f"   p50 {median(tally.percentile_ms(0.5) for tally in rounds):6.1f} ms"
        f"   p99 {median(tally.percentile_ms(0.99) for tally in rounds):6.1f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
