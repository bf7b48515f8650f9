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
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from deploy.local.servers import Program, wait_until

STOP_TIMEOUT_SECONDS = 90
PR_SET_PDEATHSIG = 1

SETTINGS = """\
[supervisord]
nodaemon=true
silent=true
directory={root}
logfile={home}/log/supervisord.log
pidfile={home}/supervisord.pid
{user}
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = """
[program:{name}]
command={command}
environment={environment}
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
stdout_logfile={home}/log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


class Supervisor:
    """A supervisord of our own for as long as the `with` block lasts."""

    def __init__(self, home: Path, root: Path, programs: list[Program]) -> None:
        self._home = home
        self._root = root
        self._programs = programs
        # Unix sockets have short names, and the home's path may be long.
        self._sockets = Path(tempfile.mkdtemp(prefix="campus-"))
        self._process: subprocess.Popen[bytes] | None = None

    def log(self, name: str) -> Path:
        """Return the file that holds what a program says."""
        return self._home / "log" / f"{name}.log"

    def start(self, name: str) -> None:
        """Start a program; it is started again whenever it ends by itself."""
        with contextlib.suppress(Fault):  # "abnormal termination": it is tried again anyway
            self._call().startProcess(name, False)

    def pid(self, name: str) -> int:
        """Return the process of a program, 0 while it does not run."""
        return int(self._call().getProcessInfo(name)["pid"])

    def wait(self) -> None:
        """Block until supervisord ends by itself, which it should not."""
        assert self._process is not None
        self._process.wait()

    def __enter__(self) -> Self:
        (self._home / "log").mkdir(exist_ok=True)
        settings = self._home / "supervisord.conf"
        settings.touch(mode=0o600)
        settings.write_text(self._settings())
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("supervisord")), "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for us alone; we stop the rest in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        wait_until("supervisord", self._answers, self.log("supervisord"))
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
            home=self._home,
            root=self._root,
            socket=self._sockets / "supervisor",
            user="user=root" if os.geteuid() == 0 else "",
        )
        for program in self._programs:
            text += PROGRAM.format(
                name=program.name,
                command=_escape(" ".join(_quote(word) for word in program.command)),
                environment=_escape(
                    ",".join(f"{k}={_quote(v)}" for k, v in program.environment.items())
                ),
                priority=program.priority,
                stop_signal=program.stop_signal,
                # Nobody passes SIGKILL on to a child.
                stop_group=str(program.stop_signal == "KILL").lower(),
                home=self._home,
            )
        return text

    def _call(self) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self._sockets / 'supervisor'}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _answers(self) -> bool:
        try:
            return bool(self._call().getState()["statename"] == "RUNNING")
        except OSError:
            return False


def _end_with_parent() -> None:
    # Killed with SIGKILL we could stop nothing; the kernel tells supervisord for us.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")
