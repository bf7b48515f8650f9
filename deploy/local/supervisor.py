"""Runs the programs of a local helpdesk under supervisord: restarts what dies, stops in order.

supervisord was chosen because it is old, kept and small, restarts a killed program by itself, and
stops groups one after the other, so that services end before the servers that they need.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shlex import join, quote
from types import TracebackType
from typing import Any, Self
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from deploy.local import users
from deploy.local.names import PRIVATE, PUBLIC
from deploy.local.servers import Program, wait_until

STOP_TIMEOUT_SECONDS = 90
SHORT_FOLDER = "/tmp"  # noqa: S108 (a folder of a random name is made in it)
PR_SET_PDEATHSIG = 1

# No path, value or command stands here: supervisord would read `%`, `;`, `#` and quotes in them.
SETTINGS = """\
[supervisord]
nodaemon=true
silent=true
logfile=log/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=supervisord.pid
childlogdir=log
umask=077
{user}
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = """
[program:{name}]
command=/bin/sh run/{name}
priority={priority}
autostart=false
autorestart=true
startsecs=1
startretries=1000
stopsignal={stop_signal}
stopwaitsecs=30
stopasgroup={stop_group}
killasgroup=true
redirect_stderr=true
stdout_logfile=log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


class Supervisor:
    """A supervisord of our own for as long as the `with` block lasts."""

    def __init__(self, home: Path, root: Path, programs: list[Program]) -> None:
        self._home = home
        self._root = root
        self._programs = programs
        # Unix sockets have short names, and both the home's path and TMPDIR may be long.
        self._sockets = Path(tempfile.mkdtemp(prefix="campus-", dir=SHORT_FOLDER))
        self._process: subprocess.Popen[bytes] | None = None

    def log(self, name: str) -> Path:
        """Return the file that holds what a program says."""
        return self._home / "log" / f"{name}.log"

    def start(self, name: str) -> None:
        """Start a program; it is started again whenever it ends by itself."""
        with contextlib.suppress(Fault):  # "abnormal termination": it is tried again anyway
            self._call("startProcess", name, False)

    def pid(self, name: str) -> int:
        """Return the process of a program, 0 while it does not run."""
        return int(self._call("getProcessInfo", name)["pid"])

    def has_ended(self, name: str) -> bool:
        """Tell whether a program has ended since it was started first; it may run again by now."""
        return bool(self._call("getProcessInfo", name)["stop"])

    def wait(self) -> None:
        """Block until supervisord ends by itself, which it should not."""
        assert self._process is not None
        self._process.wait()

    def __enter__(self) -> Self:
        for folder in (self._home / "log", self._home / "run"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
        _write_private(self._home / "supervisord.conf", self._settings())
        for program in self._programs:
            _write_private(self._home / "run" / program.name, self._script(program))
        self._process = subprocess.Popen(
            # Isolated: what lies in the home is not to be imported.
            [sys.executable, "-I", "-m", "supervisor.supervisord", "-c", "supervisord.conf"],
            cwd=self._home,
            env=_for_everybody(os.environ),
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for us alone; we stop the rest in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        wait_until(
            "supervisord",
            self._answers,
            self.log("supervisord"),
            lambda: self._process is None or self._process.poll() is not None,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        # A second Ctrl-C must not leave servers behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _settings(self) -> str:
        text = SETTINGS.format(
            socket=self._sockets / "supervisor",
            user="user=root" if os.geteuid() == 0 else "",
        )
        for program in self._programs:
            text += PROGRAM.format(
                name=program.name,
                priority=program.priority,
                stop_signal=program.stop_signal,
                # Nobody passes SIGKILL on to a child.
                stop_group=str(program.stop_signal == "KILL").lower(),
            )
        return text

    def _script(self, program: Program) -> str:
        settings = [f"export {name}={quote(value)}" for name, value in program.environment.items()]
        # Root's shell reads this file and exports to this program alone.
        command = f"exec {join(users.as_user(program.user, program.command, program.port))}"
        folder = program.folder or self._root
        return "\n".join([f"cd {quote(str(folder))}", *settings, command, ""])

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self._sockets / 'supervisor'}")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def _answers(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except OSError:
            return False


def _for_everybody(environment: Mapping[str, str]) -> dict[str, str]:
    # What each program may know of ours stands in its script.
    kept = {n: v for n, v in environment.items() if n not in (*PUBLIC, *PRIVATE)}
    # None of them may look into root's.
    return kept | ({"HOME": "/nonexistent"} if os.geteuid() == 0 else {})


def _end_with_parent() -> None:
    # Killed with SIGKILL we could stop nothing; the kernel tells supervisord for us.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
