"""How much memory the services hold, from /proc."""

import os
from pathlib import Path

TARGET_MIB = 500
SERVICES = ("web", "ticket_svc", "analytics_svc", "classifier_svc")


def resident_mib() -> dict[str, float]:
    """Return the resident set of each service in MiB, its children included.

    The services are the children of the supervisor that `deploy.local` runs.
    """
    supervisor = int((Path(os.environ["CAMPUS_HOME"]) / "supervisord.pid").read_text())
    children = _children()
    found = {}
    for process in children.get(supervisor, ()):
        service = Path(f"/proc/{process}/cmdline").read_text().split("\0")[-2]
        if service in SERVICES:
            found[service] = _resident_kib(process, children) / 1024
    return found


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = _fields(status)
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        children.setdefault(int(fields["PPid"]), []).append(int(fields["Pid"]))
    return children


def _resident_kib(process: int, children: dict[int, list[int]]) -> int:
    fields = _fields(Path(f"/proc/{process}/status"))
    own = int(fields.get("VmRSS", "0 kB").split()[0])
    return own + sum(_resident_kib(child, children) for child in children.get(process, ()))


def _fields(status: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
