"""`make run` gives nobody else on the machine or its network a way in, not even its own programs.

Most of it is tried on a folder of an earlier release, which ran as root and with Erlang's own
cookie: whoever brings it up to date gets what a fresh folder has.
"""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from bench.processes import children, tree
from deploy.local import users
from deploy.local.names import PRIVATE, PUBLIC, SERVICES, Names, choose, write
from deploy.local.servers import RABBITMQ_SCRIPTS, RabbitMQ
from tests.conftest import ROOT
from tests.security.local_probe import listeners_of

HOME = Path(os.environ["CAMPUS_HOME"])
# What Erlang makes by itself, from the clock.
ERLANGS_COOKIE = "KDQLZHRUTOMAAIOOKQFY"
NET_BIND_SERVICE = 1 << 10
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="started by anybody else all is that user's")


def cookie(home: Path) -> str:
    return (home / "rabbitmq" / ".erlang.cookie").read_text()


def run(home: Path, *options: str, do: str, **environment: str) -> str:
    """Run the helpdesk that keeps its data in `home`, do something inside, return what it says."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "deploy.local", "--home", str(home), *options),
            *("--", sys.executable, "-m", "tests.security.local_probe", do),
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def secrets_of(names: Names) -> dict[str, str]:
    """Return every password and token of a run, by the name that holds it."""
    urls = [name for name in PUBLIC if re.search("AMQP_URL|DATABASE_URL", name)]
    plain = ("TICKET_API_TOKEN", "RABBITMQ_OPERATOR_PASSWORD", *PRIVATE)
    return {name: names.password(name) for name in urls} | {name: names[name] for name in plain}


@as_root
@pytest.mark.timeout(300)
def test_a_program_that_is_broken_into_is_alone_whoever_ran_the_folder_before(
    folder_of_our_own: Path,
) -> None:
    home = folder_of_our_own / "home"
    home.mkdir(mode=0o700)
    names = choose(home, free_ports=True, environment={})
    write(home / "env", names)
    run(home, "--servers-only", do="put")
    # As it was when everything ran as root.
    (home / "classifier").mkdir(exist_ok=True)
    (home / "classifier" / "corrections.sqlite").touch()
    subprocess.run(["chown", "-R", "0:0", home], check=True)
    erlangs = home / "rabbitmq" / ".erlang.cookie"
    erlangs.chmod(0o600)
    erlangs.write_text(ERLANGS_COOKIE)
    seen = json.loads(run(home, do="look", **names.values))

    programs = seen["processes"]
    assert len(programs) > len(SERVICES)
    for program in programs:
        assert 0 not in program["users"], program["command"]
        assert (program["groups"], program["rights"], program["no_new_rights"]) == ([], 0, True)
    of_service = {
        service: next(p for p in programs if p["command"].endswith(f" -m {service} "))
        for service in SERVICES
    }
    (beam,) = (p for p in programs if p["name"] == "beam.smp")
    postgres = next(p for p in programs if p["name"] == "postgres")
    alone = [*of_service.values(), beam, postgres]
    assert len({user for program in alone for user in program["users"]}) == len(alone)
    assert all(ip_address(address).is_loopback for address in seen["listeners"])
    secrets = secrets_of(names)
    assert not [p["command"] for p in programs if any(s in p["command"] for s in secrets.values())]
    for service, program in of_service.items():
        own = "\n".join(names.of_service(service).values())
        foreign = [name for name, secret in secrets.items() if secret not in own]
        assert foreign
        assert not [name for name in foreign if secrets[name] in program["environment"]]
    # Data came along, and are of nobody else.
    assert seen["left"] == "left here"
    assert cookie(home) != ERLANGS_COOKIE
    folders = {
        "postgres": users.POSTGRES,
        "rabbitmq": users.RABBITMQ,
        "classifier": "classifier_svc",
    }
    for folder, user in folders.items():
        paths = [home / folder, *(home / folder).rglob("*")]
        assert {path.owner() for path in paths} == {users.name_of(user)}
    modes = {name: int(mode, 8) for name, mode in seen["modes"].items()}
    # All of them may pass through the home to what is their own.
    assert modes.pop(".") == 0o710
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}


@as_root
def test_who_runs_code_reads_it_and_not_the_secrets_beside_it(
    folder_of_our_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = folder_of_our_own / "repository"
    code, secret = repository / "web" / "app.py", repository / ".env"
    for file in (code, secret):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text("text")
        file.chmod(0o600)
    monkeypatch.setattr(users, "ROOT", repository)
    users.prepare()
    assert read_as_web(code) == "text"
    assert read_as_web(secret) == ""


def read_as_web(file: Path) -> str:
    command = users.as_user("web", ["cat", str(file)])
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@as_root
@pytest.mark.parametrize(("port", "rights"), [(1024, 0), (80, NET_BIND_SERVICE)])
def test_a_port_of_roots_is_all_that_a_program_gets_of_root(port: int, rights: int) -> None:
    command = users.as_user("web", ["cat", "/proc/self/status"], port)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    status = dict(line.split(":\t", 1) for line in told.splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == rights


@as_root
def test_what_root_writes_for_the_broker_follows_no_link_that_the_broker_left(
    names: Names, folder_of_our_own: Path
) -> None:
    precious = folder_of_our_own / "precious"
    precious.write_text("as it was")
    write_for_broker(folder_of_our_own / "home", names)
    folder = folder_of_our_own / "home" / "rabbitmq"
    for link in (folder / "rabbitmq.conf", folder / ".erlang.cookie"):
        link.unlink()
        link.symlink_to(precious)
    write_for_broker(folder_of_our_own / "home", names)
    assert precious.read_text() == "as it was"
    assert precious.owner() == "root"


def test_each_start_has_a_cookie_that_nobody_can_guess_or_read(
    names: Names, folder_of_our_own: Path
) -> None:
    cookies = set()
    for home in (folder_of_our_own / "a", folder_of_our_own / "b", folder_of_our_own / "b"):
        write_for_broker(home, names)
        assert (home / "rabbitmq" / ".erlang.cookie").stat().st_mode & 0o777 == 0o400
        cookies.add(cookie(home))
    assert len(cookies) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", cookie) for cookie in cookies)


def write_for_broker(home: Path, names: Names) -> None:
    home.mkdir(exist_ok=True)
    users.prepare(home / "rabbitmq")
    RabbitMQ(home, with_ports(names)).prepare()


def with_ports(names: Names) -> Names:
    return choose(HOME, free_ports=False, environment=names.values)


def test_rabbitmqctl_listens_on_this_machine_only(names: Names) -> None:
    environment = RabbitMQ(HOME, with_ports(names)).programs()[1].environment
    wait = [str(RABBITMQ_SCRIPTS / "rabbitmqctl"), "eval", "timer:sleep(2000)."]
    heard = set()
    with subprocess.Popen(
        users.as_user(users.RABBITMQ, wait),
        env={"PATH": os.environ["PATH"]} | environment,
        stdout=subprocess.DEVNULL,
    ) as running:
        while running.poll() is None:
            for pid in tree(running.pid, children()):
                with suppress(OSError):
                    heard |= listeners_of(pid)
            time.sleep(0.05)
    assert running.returncode == 0
    assert heard
    assert all(ip_address(address).is_loopback for address in heard)
