"""Starts the whole helpdesk and stops it cleanly; `make run` and `make test` come here.

    python -m deploy.local [--home DIR] [--throwaway [--durable]] [--servers-only] [-- COMMAND …]

Without a command it runs until Ctrl-C or SIGTERM. With one, it runs the command with the names of
DESIGN.md in its environment, stops everything and exits with the command's status.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from deploy.local import checks, users
from deploy.local import names as name_file
from deploy.local.environment import forget_foreign
from deploy.local.names import SERVICES, Names
from deploy.local.servers import (
    Postgres,
    Program,
    RabbitMQ,
    ServerError,
    answers_200,
    wait_until,
)
from deploy.local.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
TRAIN_EVERY_HOURS = "24"
PRIVATE_UMASK = 0o077
PART_OF_SERVICE = {
    "ticket_svc": "ticket_api",
    "classifier_svc": "classifier",
    "analytics_svc": "analytics",
    "web": "web",
}


def say(text: str) -> None:
    """Tell the person at the terminal what goes on."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show a step and how long it took."""
    started = time.monotonic()
    print(f"  {text:<46}", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        say(" failed")
        raise
    say(f"{time.monotonic() - started:6.1f} s")


def service_programs(names: Names) -> list[Program]:
    """Return the services and the trainer, each with its own part of the names only."""
    trainer = [sys.executable, "-m", "classifier_svc.retrain", "--every", TRAIN_EVERY_HOURS]
    data = {"CLASSIFIER_DATA_DIR": names["CLASSIFIER_DATA_DIR"]}
    return [
        *(
            Program(
                service,
                service,
                [sys.executable, "-m", service],
                names.of_service(service),
                10,
                port=names.ports[part],
            )
            for service, part in PART_OF_SERVICE.items()
        ),
        Program("trainer", "classifier_svc", trainer, data, 10),
    ]


def start(
    supervisor: Supervisor,
    names: Names,
    postgres: Postgres | None,
    broker: RabbitMQ | None,
    *,
    servers_only: bool,
) -> None:
    """Start servers, migrate, start services, in the order in which they need each other."""

    def wait(what: str, program: str, is_ready: Callable[[], bool]) -> None:
        wait_until(what, is_ready, supervisor.log(program), partial(supervisor.has_ended, program))

    if postgres:
        with step("PostgreSQL"):
            supervisor.start("postgres")
            wait("PostgreSQL", "postgres", postgres.is_ready)
            postgres.initialise()
    if broker:
        with step("RabbitMQ"):
            supervisor.start("epmd")
            supervisor.start("rabbitmq")
            wait("RabbitMQ", "rabbitmq", broker.is_ready)
    with step("Migrations"):
        for service in ("ticket_svc", "analytics_svc"):
            environment = os.environ | names.of_service(service)
            command = users.as_user(service, [sys.executable, "-m", service, "migrate"])
            done = subprocess.run(
                command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
            )
            if done.returncode:
                log = supervisor.log(f"migrate-{service}")
                log.write_text(done.stderr)
                raise ServerError(
                    f"{service} could not migrate its schema: {_reason(done.stderr)} More: {log}"
                )
    if servers_only:
        return
    with step("Services"):
        for service in (*SERVICES, "trainer"):
            supervisor.start(service)
        for service, url in {
            "ticket_svc": f"{visit(names['TICKET_API_URL'])}/health/ready",
            "web": f"{visit(names['WEB_URL'])}/health/ready",
            "analytics_svc": f"http://{name_file.HOST}:{names.ports['analytics']}/health/ready",
            "classifier_svc": f"http://{name_file.HOST}:{names.ports['classifier']}/metrics",
        }.items():
            wait(service, service, partial(answers_200, url))


def _reason(said: str) -> str:
    # SQLAlchemy adds a link to each error.
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("(Back")]
    return lines[-1].strip() if lines else "it did not say why."


def visit(url: str) -> str:
    """Return an address at which somebody on this machine reaches what listens at `url`."""
    host = name_file.listening_host(url)
    host = {"0.0.0.0": name_file.HOST, "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{name_file.port_of(url)}"


@contextmanager
def only_run_of(home: Path) -> Iterator[None]:
    """Hold the home for this run; raises ServerError where another has it."""
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ServerError(
                f"This helpdesk runs already, as process {lock.read().strip() or '?'}, with its "
                f"data in {home}; another needs another folder (--home)."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def banner(names: Names, home: Path) -> str:
    """Return where everything is, for the person who started it."""
    return f"""
  Helpdesk      {names["WEB_URL"]}
  REST          {names["TICKET_API_URL"]}/openapi.json
  RabbitMQ      {names["RABBITMQ_MANAGEMENT_URL"]}   \
operator / {names["RABBITMQ_OPERATOR_PASSWORD"]}
  Names, logs   {home}/env, {home}/log/
  Ctrl-C stops everything; nothing is lost.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / ".local", help="where data is kept")
    parser.add_argument(
        "--throwaway", action="store_true", help="fresh data on free ports, deleted at the end"
    )
    parser.add_argument("--durable", action="store_true", help="sync throwaway data to disk too")
    parser.add_argument("--servers-only", action="store_true", help="no services")
    parser.add_argument("command", nargs="*", help="run this, then stop")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run until told to stop; return the exit status."""
    options = parse(arguments)
    # SIGTERM stops like Ctrl-C, through every `finally` on the way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell's script gives what it starts with `&` a SIGINT that is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    umask = os.umask(PRIVATE_UMASK)
    home = Path(tempfile.mkdtemp(prefix="campus-")) if options.throwaway else options.home.resolve()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_run_of(home):
            return run(home, options, umask)
    except (ServerError, users.UserError) as error:
        say(f"\n{error}")
        return 1
    except OSError as error:
        say(f"\n{error.strerror}: {error.filename or home}")
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 0
    finally:
        if options.throwaway:
            shutil.rmtree(home, ignore_errors=True)


def run(home: Path, options: argparse.Namespace, umask: int) -> int:
    """Look, start everything and run the command with that umask, or until told to stop."""
    forget_foreign(os.environ)
    for folder in (ROOT, home):
        checks.check_folder(folder)
    checks.check_settings(name_file.read(home / "env") | os.environ)
    names = name_file.choose(home, free_ports=options.throwaway)
    own_database, own_broker = names.has_own_database, names.has_own_broker
    parts = checks.parts_of(
        services=not options.servers_only, broker=own_broker, database=own_database
    )
    checks.check_ports(names, parts)
    checks.check_logins(names, broker=not own_broker, database=not own_database)
    few_files = checks.raise_file_limit()
    name_file.write(home / "env", names)
    postgres = None
    broker = None
    learnt = ROOT / names["CLASSIFIER_DATA_DIR"]
    users.prepare(home / "data", learnt)
    programs = service_programs(names)
    if not options.servers_only:
        users.own(learnt, "classifier_svc")
    if own_database:
        postgres = Postgres(home, names, durable=options.durable or not options.throwaway)
        postgres.prepare()
        programs.append(postgres.program())
    if own_broker:
        broker = RabbitMQ(home, names, durable=not options.throwaway)
        broker.prepare()
        programs += broker.programs()
    with Supervisor(home, ROOT, programs) as supervisor:
        start(supervisor, names, postgres, broker, servers_only=options.servers_only)
        if options.command:
            environment = os.environ | names.values | {"CAMPUS_HOME": str(home)}
            command = options.command
            return subprocess.run(command, env=environment, check=False, umask=umask).returncode
        say(banner(names, home))
        if few_files:
            say(f"  {few_files}\n")
        supervisor.wait()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
