"""The helpdesk as an operator runs it: supervised, each report worker a process of its own, and
every way between two parts a cable that can be cut.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.processes import children, tree
from deploy.local import names as name_file
from deploy.local import users
from deploy.local.__main__ import ROOT, start
from deploy.local.names import Names, free_port
from deploy.local.servers import (
    RABBITMQ_SCRIPTS,
    Postgres,
    Program,
    RabbitMQ,
    ServerError,
    answers_200,
    wait_until,
)
from deploy.local.supervisor import Supervisor
from tests.cable import Cable

REPORTS = ("unclosed_in_period", "resolution_time_by_month", "active_by_category")
SERVICES = ("ticket_svc", "classifier_svc", "projection", *REPORTS, "web")
SERVERS = ("rabbitmq", "postgres")
# From whom to whom: people to the pages, everybody to REST, services to the two servers.
CABLES = {
    "web": "WEB_URL",
    "tickets": "TICKET_API_URL",
    "broker": "WEB_AMQP_URL",
    "database": "TICKET_DATABASE_URL",
}
_BEHIND_BROKER = ("WEB_AMQP_URL", "TICKET_AMQP_URL", "ANALYTICS_AMQP_URL", "CLASSIFIER_AMQP_URL")
_BEHIND_DATABASE = ("TICKET_DATABASE_URL", "ANALYTICS_DATABASE_URL")
DISK_FREE_LIMIT = "500MB"  # as in rabbitmq.conf
NO_DISK = "9000GB"
# Longer than the longest hang, with everything killed in between.
RECOVERY_MAX_SECONDS = 120.0


@dataclass
class Rig:
    """The running helpdesk, and what can be done to it."""

    names: Names
    calling: Names  # as services and people see it: through the cables
    cables: dict[str, Cable]
    postgres: Postgres
    broker: RabbitMQ
    supervisor: Supervisor
    ready: dict[str, Callable[[], bool]]
    killed: Counter[str] = field(default_factory=Counter)

    async def start(self) -> None:
        """Start everything, with the supervisor there already."""
        for cable in self.cables.values():
            await cable.mend()
        await asyncio.to_thread(
            start, self.supervisor, self.names, self.postgres, self.broker, servers_only=True
        )
        for name in SERVICES:
            self.supervisor.start(name)
        for name in SERVICES:
            log = self.supervisor.log(name)
            await asyncio.to_thread(wait_until, name, self.ready[name], log)

    async def stop(self) -> None:
        """Cut everything off; the supervisor stops it."""
        for cable in self.cables.values():
            await cable.cut()

    async def kill(self, name: str) -> None:
        """End a program and all of its children with SIGKILL, as a machine that fails does."""
        if pids := await self._tree(name):
            self.killed[name] += 1
            _signal(pids, signal.SIGKILL)

    async def pause(self, name: str, seconds: float) -> None:
        """Let a program hang for a while: its connections stay open, and nothing answers."""
        pids = await self._tree(name)
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        _signal(pids, signal.SIGCONT)

    async def cut(self, cable: str, seconds: float) -> None:
        """End every connection in mid-answer and refuse new ones for a while."""
        await self.cables[cable].cut()
        await asyncio.sleep(seconds)
        await self.cables[cable].mend()

    async def lose_answers(self, cable: str, answers: int) -> None:
        """End so many connections just when the other side has answered."""
        self.cables[cable].lose(answers)

    async def fill_disk(self, seconds: float) -> None:
        """Let the broker believe that its disk is full: it takes no message any more."""
        await self._limit_disk(NO_DISK)
        await asyncio.sleep(seconds)
        await self._limit_disk(DISK_FREE_LIMIT)

    async def rebuild(self) -> None:
        """Fill the read model anew while events go on."""
        environment = os.environ | self.calling.of_service("analytics_svc")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "analytics_svc", "rebuild"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await process.wait()

    async def until_ready(self, *names: str) -> None:
        """Return once these programs answer again, with nobody's help; raises ServerError."""
        end = time.monotonic() + RECOVERY_MAX_SECONDS
        for name in names:
            while not await asyncio.to_thread(self.ready[name]):
                if time.monotonic() > end:
                    raise ServerError(f"{name} did not come back in {RECOVERY_MAX_SECONDS:g} s.")
                await asyncio.sleep(0.1)

    def exits(self) -> Counter[str]:
        """Return how often each program has ended, for whatever reason."""
        log = self.supervisor.log("supervisord").read_text()
        return Counter(re.findall(r"exited: (\w+) ", log))

    async def _tree(self, name: str) -> list[int]:
        pid = await asyncio.to_thread(self.supervisor.pid, name)
        return tree(pid, children()) if pid else []

    async def _limit_disk(self, limit: str) -> None:
        environment = os.environ | self.broker.programs()[1].environment
        command = [str(RABBITMQ_SCRIPTS / "rabbitmqctl"), "set_disk_free_limit", limit]
        end = time.monotonic() + RECOVERY_MAX_SECONDS
        while time.monotonic() < end:
            process = await asyncio.create_subprocess_exec(
                *users.as_user(users.RABBITMQ, command),
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if await process.wait() == 0:
                return
            await asyncio.sleep(1)  # it is being killed by another fault
        raise ServerError(f"The broker did not take the disk limit {limit}.")


def prepare(home: Path) -> Rig:
    """Return a rig on free ports, with fresh data in `home`; nothing runs yet."""
    names = name_file.choose(home, free_ports=True, environment={})
    # Durable: what PostgreSQL acknowledged must survive its being killed.
    users.prepare(home / "data")
    users.own(home / "classifier", "classifier_svc")
    postgres = Postgres(home, names)
    broker = RabbitMQ(home, names, durable=False)
    postgres.prepare()
    broker.prepare()
    cables = {}
    for cable, name in CABLES.items():
        cables[cable] = Cable(names[name], own_port=free_port())
    values = dict(names.values)
    for cable, behind in (("broker", _BEHIND_BROKER), ("database", _BEHIND_DATABASE)):
        values |= {name: cables[cable].through(names[name]) for name in behind}
    # Where the service listens, and where its callers find it.
    listening = replace(names, values=values)
    calling = replace(names, values=values | {"TICKET_API_URL": cables["tickets"].url})
    programs, ready = _services(listening, calling)
    servers = [postgres.program(), *broker.programs()]
    return Rig(
        names=names,
        calling=calling,
        cables=cables,
        postgres=postgres,
        broker=broker,
        supervisor=Supervisor(home, ROOT, [*programs, *servers]),
        ready=ready | {"rabbitmq": broker.is_ready, "postgres": postgres.is_ready},
    )


def _services(
    listening: Names, calling: Names
) -> tuple[list[Program], dict[str, Callable[[], bool]]]:
    """Return the programs of the services, and how to see that each is ready."""
    programs = []
    ready = {}
    for name in SERVICES:
        service, arguments, url = name, [], ""
        environment = (listening if name == "ticket_svc" else calling).of_service(
            name if name in ("ticket_svc", "classifier_svc", "web") else "analytics_svc"
        )
        match name:
            case "ticket_svc":
                url = f"{listening['TICKET_API_URL']}/health/ready"
            case "web":
                environment["WEB_LIMITS"] = "off"  # a whole campus comes from one address here
                url = f"{listening['WEB_URL']}/health/ready"
            case "classifier_svc":
                url = f"http://{name_file.HOST}:{environment['CLASSIFIER_METRICS_PORT']}/metrics"
            case _:
                service = "analytics_svc"
                arguments = ["projection"] if name == "projection" else ["report", name]
                environment["ANALYTICS_PORT"] = str(free_port())
                url = f"http://{name_file.HOST}:{environment['ANALYTICS_PORT']}/health/ready"
        command = [sys.executable, "-m", service, *arguments]
        programs.append(Program(name, service, command, environment, 10))
        ready[name] = partial(answers_200, url)
    return programs, ready


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
