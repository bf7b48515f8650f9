"""A local run comes up on machines that are not ours, and says at once where it cannot."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from contracts.addresses import parse
from deploy.local import checks
from deploy.local.__main__ import only_run_of, visit
from deploy.local.moved import MADE_IN
from deploy.local.names import (
    DEFAULT_PORTS,
    HOST,
    NAME_OF_PORT,
    Names,
    choose,
    free_port,
    port_of,
    read,
    write,
)
from deploy.local.servers import (
    POSTGRES_BIN_PATH,
    Postgres,
    Program,
    ServerError,
    wait_until,
)
from deploy.local.supervisor import Supervisor
from tests.conftest import ROOT

SOON_SECONDS = 5
# What other programs of the machine are told; none of it is for us.
FOREIGN = {
    **dict.fromkeys(("http_proxy", "HTTPS_PROXY", "all_proxy"), "http://127.0.0.1:9"),
    **{"PGHOST": "/nowhere", "PGPORT": "1", "PGDATABASE": "none", "PGSSLMODE": "require"},
    **{"PGOPTIONS": "-c none=1", "PGSERVICE": "none", "PGUSER": "nobody"},
    **{"RABBITMQ_NODENAME": "other@nowhere", "RABBITMQ_CONFIG_FILE": "/nowhere"},
    **{"RABBITMQ_USE_LONGNAME": "true", "RABBITMQ_SERVER_START_ARGS": "-none"},
    **{"ERL_FLAGS": "-name x@y", "ERL_LIBS": "/nowhere", "ERL_EPMD_ADDRESS": "10.9.9.9"},
    **{"PYTHONPATH": "/nowhere", "PYTHONOPTIMIZE": "2", "NOTIFY_SOCKET": "/nowhere"},
}
# Runs a command in another world: the repository in a folder of an odd name, installed under a
# strict umask, where neither `localhost` nor anything else has an address.
WORLD = """
set -e
repository=$1 odd=$2; shift 2
mkdir -p "$odd/code" "$odd/tmp" "$odd/wheel"
: >"$odd/empty"
mount --bind "$repository" "$odd/code"
mount --bind "$odd/empty" /etc/hosts
[ ! -e /etc/resolv.conf ] || mount --bind "$odd/empty" /etc/resolv.conf
umask 077
wheel=$odd/code/${PG_WHEEL#"$repository/"}
cp -r "$wheel/." "$odd/wheel"
chmod -R go-rwx "$odd/wheel"
mount --bind "$odd/wheel" "$wheel"
cd "$odd/code"
export TMPDIR="$odd/tmp"
exec "$@"
"""


def local(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m deploy.local` with that environment and no other."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(*arguments: str, **environment: str) -> str:
    """Return in which sentence a run refuses to start, soon and without a traceback."""
    started = time.monotonic()
    done = local("--throwaway", *arguments, **environment)
    assert time.monotonic() - started < SOON_SECONDS
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    return sentence


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another world")
def test_a_run_comes_up_in_an_odd_folder_under_a_strict_umask_among_foreign_settings(
    folder_of_our_own: Path,
) -> None:
    odd = folder_of_our_own / "camp us, 50% of #1; [ä]"
    odd.mkdir()
    wheel = POSTGRES_BIN_PATH.parent.parent
    python = Path(sys.executable).relative_to(ROOT)
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", WORLD, "sh", str(ROOT), str(odd), str(python)),
            *("-m", "deploy.local", "--throwaway", "--servers-only", "--", "env"),
        ],
        env={"PATH": os.environ["PATH"], "PG_WHEEL": str(wheel)} | FOREIGN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert not told.keys() & FOREIGN.keys()
    assert told["CAMPUS_HOME"].startswith(str(odd))


def test_make_passes_no_settings_of_other_python_programs_on() -> None:
    done = subprocess.run(
        ["make", "--eval", "probe: ; @env", "probe"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "/nowhere" not in done.stdout


@contextmanager
def listening(host: str = HOST) -> Iterator[int]:
    port = free_port()
    with closing(socket.create_server((host, port))):
        yield port


def chosen(home: Path, **environment: str) -> Names:
    """Return the names of a run that keeps its data, with that environment."""
    return choose(home, free_ports=False, environment=environment)


# --- Ports ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("part", DEFAULT_PORTS)
def test_a_taken_port_is_named_with_its_holder_and_its_setting(part: str, tmp_path: Path) -> None:
    name = checks.setting(part)
    with listening("0.0.0.0") as port:
        value = chosen(tmp_path).values.get(name, "")
        moved = value.replace(f":{DEFAULT_PORTS[part]}", f":{port}") if value else str(port)
        names = chosen(tmp_path, **{name: moved})
        with pytest.raises(ServerError) as error:
            checks.check_ports(names, [part])
    assert f"port {port} ({name}) by process {os.getpid()} (" in str(error.value)
    assert f"or set {name} to other ports" in str(error.value)


def test_a_run_does_not_begin_where_a_port_is_taken() -> None:
    with listening() as port:
        said = refused(WEB_URL=f"http://{HOST}:{port}")
    assert f"port {port} (WEB_URL) by process {os.getpid()} (" in said


def test_a_second_copy_moves_all_its_ports_and_keeps_them(tmp_path: Path) -> None:
    first = chosen(tmp_path)
    write(tmp_path / "env", first)
    moved = chosen(tmp_path, CAMPUS_PORT_SHIFT="1000")
    assert moved.ports == {part: port + 1000 for part, port in DEFAULT_PORTS.items()}
    assert moved["TICKET_AMQP_URL"] == first["TICKET_AMQP_URL"].replace(":5673/", ":6673/")
    assert moved.of_service("analytics_svc")["ANALYTICS_PORT"] == "9083"
    write(tmp_path / "env", moved)
    assert chosen(tmp_path) == moved
    one = chosen(tmp_path, ANALYTICS_PORT="7000", WEB_AMQP_URL=f"amqp://web:x@{HOST}:7001/campus")
    assert (one.ports["analytics"], one.ports["amqp"], one.ports["epmd"]) == (7000, 7001, 5379)
    assert one["TICKET_AMQP_URL"] == first["TICKET_AMQP_URL"].replace(":5673/", ":7001/")


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    with only_run_of(tmp_path):
        done = local("--home", str(tmp_path), "--servers-only")
    assert done.returncode == 1
    assert f"runs already, as process {os.getpid()}," in done.stderr


# --- Addresses ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "host", "port", "to_visit"),
    [
        ("http://localhost", "127.0.0.1", "80", "http://127.0.0.1:80"),
        ("http://localhost:9000/", "127.0.0.1", "9000", "http://127.0.0.1:9000"),
        ("http://0.0.0.0:8080", "0.0.0.0", "8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "::1", "8080", "http://[::1]:8080"),
        ("http://[::]:8080", "::", "8080", "http://[::1]:8080"),
        ("http://help.example.org:8080", "help.example.org", "8080", None),
    ],
)
def test_pages_listen_at_the_host_and_port_that_the_address_names(
    url: str, host: str, port: str, to_visit: str | None, tmp_path: Path
) -> None:
    checks.check_settings({"WEB_URL": url})
    names = chosen(tmp_path, WEB_URL=url)
    assert names["WEB_URL"] == url
    settings = names.of_service("web")
    assert (settings["WEB_HOST"], settings["WEB_PORT"]) == (host, port)
    assert visit(url) == (to_visit or url)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEB_URL", "127.0.0.1:8080", "WEB_URL must be an address"),
        ("WEB_URL", "http://127.0.0.1:99999", "WEB_URL must be an address"),
        ("WEB_URL", "https://help.example.org", "WEB_URL says where a local run listens"),
        ("WEB_URL", "http://127.0.0.1:8080/help", "WEB_URL says where a local run listens"),
        ("WEB_URL", "http://192.0.2.1:8080", "192.0.2.1:8080, where nothing answers"),
        ("TICKET_API_URL", "http://", "TICKET_API_URL must be an address"),
        ("WEB_AMQP_URL", "amqp://web:x@192.0.2.1:5672/campus", "where nothing answers"),
        ("ANALYTICS_PORT", "many", "ANALYTICS_PORT must be a number from 1 to 65535"),
        ("CAMPUS_PORT_SHIFT", "-1", "CAMPUS_PORT_SHIFT must be a number from 1 to 65535"),
        ("CAMPUS_EPMD_PORT", "70000", "CAMPUS_EPMD_PORT must be a number from 1 to 65535"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    name: str, value: str, said: str, tmp_path: Path
) -> None:
    def look() -> None:
        checks.check_settings({name: value})
        names = choose(tmp_path, free_ports=True, environment={name: value})
        checks.check_ports(names, list(DEFAULT_PORTS))

    with pytest.raises(ServerError) as error:
        look()
    assert said in str(error.value)


def test_a_database_that_answers_at_a_unix_socket_alone_is_used(tmp_path: Path) -> None:
    place = f"host={quote(str(tmp_path), safe='')}&port=5439"
    theirs = f"postgresql://ticket_svc:a@127.0.0.1/campus?{place}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / ".s.PGSQL.5439"))
        server.listen()
        names = chosen(tmp_path, TICKET_DATABASE_URL=theirs)
        assert not names.has_own_database
    reports = parse("ANALYTICS_DATABASE_URL", names["ANALYTICS_DATABASE_URL"])
    assert (reports.host, reports.port, names.ports["postgres"]) == (str(tmp_path), 5439, 5439)
    assert (reports.user, reports.name) == ("analytics_svc", "campus")
    assert names.has_own_database  # nobody is there any more


def test_a_setting_kept_from_an_earlier_run_that_cannot_work_is_named(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("TICKET_DATABASE_URL=postgresql://a:b@h/c?sslrootcert=/gone\n")
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local", "--home", str(tmp_path), "--servers-only"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        check=False,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "TICKET_DATABASE_URL names a sslrootcert that is no file here" in said
    assert "Traceback" not in said


def test_two_settings_for_one_port_are_named(tmp_path: Path) -> None:
    names = chosen(tmp_path, ANALYTICS_PORT="8084")
    with pytest.raises(ServerError, match=r"ANALYTICS_PORT and CLASSIFIER_METRICS_PORT name the"):
        checks.check_ports(names, ["analytics", "classifier"])


def test_what_a_shell_and_the_next_run_read_from_the_file_of_names_is_the_same(
    tmp_path: Path,
) -> None:
    home = tmp_path / "it's 50% of $HOME & more"
    home.mkdir()
    url = "postgresql://ticket_svc:p%40ss@127.0.0.1:5433/campus?sslmode=prefer&target_session_attrs=any"
    names = chosen(home, TICKET_DATABASE_URL=url)
    write(home / "env", names)
    kept = read(home / "env")
    ports = {name: str(names.ports[part]) for part, name in NAME_OF_PORT.items()}
    assert kept == names.values | ports | {MADE_IN: str(home)}
    assert f"WEB_URL={names['WEB_URL']}\n" in (home / "env").read_text()
    script = 'set -a; . ./env; printf "%s\\0" "$CLASSIFIER_DATA_DIR" "$TICKET_DATABASE_URL"'
    read_by_shell = subprocess.run(
        ["sh", "-c", script], cwd=home, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    assert read_by_shell[:2] == [str(home / "classifier"), url]


@pytest.mark.parametrize("sign", list("'\"$`\\:"))
def test_a_folder_that_servers_cannot_take_is_named(sign: str, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="move it to another name"):
        checks.check_folder(tmp_path / f"a{sign}b")


# --- Servers that are there already ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TICKET_AMQP_URL", "ACCESS_REFUSED"),
        ("ANALYTICS_DATABASE_URL", 'password authentication failed for user "analytics_svc"'),
    ],
)
def test_a_wrong_password_is_said_in_the_words_of_the_server(
    names: Names, name: str, said: str
) -> None:
    theirs = {n: v for n, v in names.values.items() if n in os.environ}
    wrong = names[name].replace(f":{names.password(name)}@", ":wrong@")
    sentence = refused("--servers-only", **theirs | {name: wrong})
    assert sentence.startswith(f"{name} does not work at {HOST}:")
    assert said in sentence
    assert "wrong" not in sentence


def test_the_database_of_an_earlier_run_with_another_password_is_said(
    names: Names, tmp_path: Path
) -> None:
    ports = {"postgres": port_of(names["TICKET_DATABASE_URL"])}
    other = Names(names.values | {"POSTGRES_PASSWORD": "other"}, ports)
    with pytest.raises(ServerError, match="was made with another POSTGRES_PASSWORD"):
        Postgres(tmp_path, other).initialise()


# --- Programs -------------------------------------------------------------------------------------
@pytest.fixture
def supervised(tmp_path: Path) -> Callable[[str], Supervisor]:
    """Return a function that makes a supervisor of one program, a line of shell."""

    def make(script: str) -> Supervisor:
        return Supervisor(tmp_path, ROOT, [Program("one", "web", ["sh", "-c", script], {}, 1)])

    return make


def test_a_program_that_ends_at_its_start_is_not_waited_for(
    supervised: Callable[[str], Supervisor],
) -> None:
    started = time.monotonic()
    with supervised("echo because of this; exit 3") as supervisor:
        supervisor.start("one")
        with pytest.raises(ServerError, match="because of this"):
            wait_until(
                "one", lambda: False, supervisor.log("one"), lambda: supervisor.has_ended("one")
            )
    assert time.monotonic() - started < SOON_SECONDS


def test_the_logs_of_a_local_run_are_bounded(
    supervised: Callable[[str], Supervisor], tmp_path: Path
) -> None:
    with supervised("head -c 45000000 /dev/zero; echo; echo end; sleep 60") as supervisor:
        supervisor.start("one")
        log = supervisor.log("one")
        wait_until("one", lambda: log.exists() and log.read_bytes().endswith(b"end\n"), log)
    assert sum(file.stat().st_size for file in (tmp_path / "log").glob("one*")) < 32e6


def test_rabbitmq_writes_where_logs_are_bounded() -> None:
    home = Path(os.environ["CAMPUS_HOME"])
    assert b"accepting AMQP connection" in (home / "log" / "rabbitmq.log").read_bytes()
    own = {file.name for file in (home / "rabbitmq" / "log").iterdir()}
    assert own <= {"campus@localhost_upgrade.log"}


# --- Open files -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("hard", "said"), [(1024, "A process may open 1024 files"), (4096, "None")]
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes_and_said(hard: int, said: str) -> None:
    script = (
        "import resource; from deploy.local.checks import raise_file_limit;"
        "print(raise_file_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run(
        ["prlimit", f"--nofile=512:{hard}", sys.executable, "-c", script],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(said)
    assert done.stdout.endswith(f"({hard}, {hard})\n")
