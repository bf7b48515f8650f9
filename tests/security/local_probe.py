"""What a test of a local run does inside it: `python -m tests.security.local_probe put | look`.

`put` leaves a message in a durable queue; `look` prints as JSON what a curious neighbour would see.
"""

import json
import os
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pika

from bench.processes import children, tree
from bus.pika_address import parameters
from contracts.addresses import parse
from contracts.topology import RPC_CLASSIFY, dead_letter_queue
from deploy.local.checks import LISTEN_STATE

HOME = Path(os.environ["CAMPUS_HOME"])
# Durable, and nobody consumes it.
QUEUE = dead_letter_queue(RPC_CLASSIFY)


def put() -> None:
    with _connected() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        kept = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", QUEUE, b"left here", kept, mandatory=True)


def look() -> dict[str, Any]:
    supervisor = int((HOME / "supervisord.pid").read_text())
    processes, listeners = [], set[str]()
    for pid in tree(supervisor, children()):
        # A worker of PostgreSQL may have ended since.
        with suppress(FileNotFoundError, ProcessLookupError):
            if pid != supervisor:
                processes.append(_process(pid))
                listeners |= listeners_of(pid)
    return {
        "processes": processes,
        "listeners": sorted(listeners),
        "modes": {
            str(path.relative_to(HOME)): f"{path.stat().st_mode & 0o777:o}"
            for path in (HOME, *HOME.iterdir(), HOME / "rabbitmq" / ".erlang.cookie")
        },
        "left": _left(),
    }


def _process(pid: int) -> dict[str, Any]:
    folder = Path("/proc", str(pid))
    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
    return {
        "name": status["Name"],
        "command": (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(),
        "environment": (folder / "environ").read_bytes().replace(b"\0", b"\n").decode(),
        "users": sorted({int(user) for user in status["Uid"].split()}),
        "groups": status["Groups"].split(),
        "rights": int(status["CapPrm"], 16) | int(status["CapEff"], 16) | int(status["CapAmb"], 16),
        "no_new_rights": status["NoNewPrivs"] == "1",
    }


def listeners_of(pid: int) -> set[str]:
    """Return the addresses at which a process listens."""
    sockets = set()
    for file in Path("/proc", str(pid), "fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            sockets.add(os.readlink(file))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN_STATE and f"socket:[{fields[9]}]" in sockets:
                words = bytes.fromhex(fields[1].partition(":")[0])
                # The kernel writes words of the machine's own order.
                address = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, address))
    return found


def _left() -> str:
    with _connected() as connection:
        _, _, body = connection.channel().basic_get(QUEUE)
    return (body or b"").decode()


def _connected() -> pika.BlockingConnection:
    address = parse("WEB_AMQP_URL", os.environ["WEB_AMQP_URL"])
    admin = replace(address, user="admin", password=os.environ["RABBITMQ_ADMIN_PASSWORD"])
    return pika.BlockingConnection(parameters(admin, "test"))


if __name__ == "__main__":
    if sys.argv[1] == "put":
        put()
    else:
        print(json.dumps(look()))
