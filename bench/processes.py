"""What the processes of the helpdesk cost in memory and CPU time, from /proc."""

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

TARGET_MIB = 500
SERVICES = ("web", "ticket_svc", "analytics_svc", "classifier_svc")
SERVERS = ("postgres", "rabbitmq")
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def resident_mib(wanted: Collection[str] = SERVICES) -> dict[str, float]:
    """Return the resident set of each program in MiB, its children included."""
    return {
        name: memory_mib(processes) for name, processes in _programs().items() if name in wanted
    }


def memory_mib(processes: Collection[int]) -> float:
    """Return the resident set of processes in MiB."""
    return sum(map(_resident_kib, processes)) / 1024


def cpu_ms() -> Counter[str]:
    """Return the CPU time that each service and server has used so far, in ms."""
    return Counter(
        {
            name: round(sum(map(_ticks, processes)) * TICK_MS)
            for name, processes in _programs().items()
        }
    )


def busy_ms() -> float:
    """Return the CPU time that this machine has spent on anything so far, in ms."""
    user, nice, system, _idle, _io_wait, interrupts, soft = map(
        int, Path("/proc/stat").read_text().split()[1:8]
    )
    return (user + nice + system + interrupts + soft) * TICK_MS


def _programs() -> dict[str, list[int]]:
    """Return the processes of bench and of each program that `deploy.local`'s supervisor runs."""
    supervisor = int((Path(os.environ["CAMPUS_HOME"]) / "supervisord.pid").read_text())
    below = children()
    programs = {
        name: tree(process, below)
        for process in below.get(supervisor, ())
        if (name := _name(process))
    }
    return {"bench": tree(os.getpid(), below)} | programs


def _name(process: int) -> str | None:
    command = Path(f"/proc/{process}/cmdline").read_text().split("\0")
    if command[-2] in SERVICES:
        return command[-2]
    return next((name for name in SERVERS if any(name in word for word in command)), None)


def children() -> dict[int, list[int]]:
    """Return the children of every process that has any."""
    found: dict[int, list[int]] = {}
    for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if fields := _stat(process):
            found.setdefault(int(fields[1]), []).append(process)
    return found


def tree(process: int, below: dict[int, list[int]]) -> list[int]:
    """Return a process and all that descend from it, by what `children` returned."""
    found = [process]
    for parent in found:
        found += below.get(parent, ())
    return found


def _stat(process: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; nothing for one that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _ticks(process: int) -> int:
    return sum(map(int, _stat(process)[11:13]))


def _resident_kib(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
