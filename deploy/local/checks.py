"""Looks before a run starts: what cannot work is said in a sentence, with what to do.

Starts and changes nothing, but for this process's own limit of open files.
"""

import errno
import os
import resource
import socket
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pika
import psycopg
from pika.exceptions import AMQPError

from bus.pika_address import parameters
from contracts.addresses import check_address, parse
from deploy.local.names import (
    AMQP_URLS,
    DATABASE_URLS,
    DEFAULT_PORTS,
    HOST,
    NAME_OF_PORT,
    PORT_SHIFT,
    PUBLIC,
    URL_OF_PORT,
    URLS_OF_PORT,
    Names,
    host_of,
    listening_host,
    port_of,
)
from deploy.local.servers import ServerError

# Where we listen ourselves, in plain HTTP.
LISTENING = ("WEB_URL", "TICKET_API_URL")
FILES_MAX = 65_536
FILES_ENOUGH = 4_096
LOGIN_TIMEOUT_SECONDS = 3
LISTEN_STATE = "0A"
COMMAND_SHOWN = 60
# initdb and RabbitMQ pass paths on to a shell, and search paths end at a colon.
NOT_IN_A_PATH = "'\"$`\\:\n"


def check_folder(folder: Path) -> None:
    """Raise ServerError where a path holds what PostgreSQL and RabbitMQ cannot take."""
    if bad := [sign for sign in NOT_IN_A_PATH if sign in str(folder)]:
        raise ServerError(
            f"The folder {folder} has {' and '.join(map(repr, bad))} in its name, which servers "
            "here cannot take; move it to another name. Spaces and other signs are fine."
        )


def check_settings(environment: Mapping[str, str]) -> None:
    """Raise ServerError where a value, set or kept from an earlier run, cannot be used."""
    for name in (name for name in PUBLIC if name.endswith("_URL") and environment.get(name)):
        try:
            check_address(name, environment[name])
        except ValueError as error:
            raise ServerError(str(error)) from None
        parts = urlsplit(environment[name])
        if name in LISTENING and (parts.scheme != "http" or parts.path.strip("/") or parts.query):
            raise ServerError(
                f"{name} says where a local run listens: http://HOST:PORT and no more. TLS and a "
                "path of its own are a proxy's work; see README.md, “Settings”."
            )
    for name in (*NAME_OF_PORT.values(), PORT_SHIFT):
        value = environment.get(name) or "1"
        if not (value.isascii() and value.isdigit() and 0 < int(value) < 65_536):
            raise ServerError(f"{name} must be a number from 1 to 65535, not {value!r}.")


def check_ports(names: Names, parts: list[str]) -> None:
    """Raise ServerError where a part cannot listen: the port is taken, or the host is not ours."""
    addresses: dict[tuple[str, int], list[str]] = defaultdict(list)
    for part in parts:
        name = setting(part)
        host = listening_host(names[name]) if part in URL_OF_PORT else HOST
        addresses[host, names.ports[part]].append(name)
    taken = {}
    for (host, port), settings in addresses.items():
        if len(settings) > 1:
            raise ServerError(f"{' and '.join(settings)} name the same port, {port}.")
        if not 0 < port < 65_536:
            raise ServerError(f"{settings[0]}: there is no port {port}.")
        if _is_taken(settings[0], host, port):
            taken[settings[0]] = f"port {port} ({settings[0]}) by {holder(port)}"
    if taken:
        raise ServerError(
            f"Taken already: {'; '.join(taken.values())}. Stop that, or set {', '.join(taken)} to "
            f"other ports; {PORT_SHIFT}=1000 moves all of ours by 1000."
        )
    for part in set(parts) & URLS_OF_PORT.keys():
        first, *others = URLS_OF_PORT[part]
        for name in others:
            if any(of(names[name]) != of(names[first]) for of in (listening_host, port_of)):
                raise ServerError(f"{first} and {name} name one server, but not the same address.")


def setting(part: str) -> str:
    """Return the name that sets a part's port."""
    return URL_OF_PORT.get(part) or NAME_OF_PORT[part]


def _is_taken(name: str, host: str, port: int) -> bool:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise ServerError(
            f"{name} names the host {host}, which this machine cannot find; {HOST} always works."
        ) from None
    for family, kind, protocol, _, address in found:
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                match error.errno:
                    case errno.EADDRINUSE:
                        return True
                    case errno.EACCES:
                        raise ServerError(
                            f"{name} names port {port}, which only root may use here; name one "
                            f"above 1023, such as {port + 8000}."
                        ) from None
                    case errno.EADDRNOTAVAIL:
                        raise ServerError(
                            f"{name} names {host}:{port}, where nothing answers and which is no "
                            "address of this machine."
                        ) from None
                    case _:
                        raise ServerError(f"{name}: {host}:{port}: {error.strerror}.") from None
    return False


def holder(port: int) -> str:
    """Say which process listens on a port, as far as this user may know."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            for file in Path("/proc", process, "fd").iterdir():
                if os.readlink(file) in sockets:
                    return _described(process)
    return "another program"


def _described(process: str) -> str:
    command = Path("/proc", process, "cmdline").read_bytes().replace(b"\0", b" ")
    shown = command.decode(errors="replace").strip()[:COMMAND_SHOWN]
    return f"process {process} ({shown}, in {os.readlink(f'/proc/{process}/cwd')})"


def check_logins(names: Names, *, broker: bool, database: bool) -> None:
    """Raise ServerError with the server's own words where one that is in use refuses us."""
    for name in AMQP_URLS if broker else ():
        try:
            login = parameters(parse(name, names[name]), "make run")
            login.socket_timeout = login.stack_timeout = LOGIN_TIMEOUT_SECONDS
            pika.BlockingConnection(login).close()
        except (AMQPError, OSError) as error:
            reason = error.args[-1] if error.args else type(error).__name__
            raise ServerError(_refused(names, name, f"the broker says: {reason}")) from None
    for name in DATABASE_URLS if database else ():
        try:
            url = check_address(name, names[name])
            psycopg.connect(url, connect_timeout=LOGIN_TIMEOUT_SECONDS).close()
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[-1].rpartition("failed: ")[2]
            raise ServerError(_refused(names, name, f"PostgreSQL says: {reason}")) from None


def _refused(names: Names, name: str, said: str) -> str:
    url = names[name]
    return (
        f"{name} does not work at {host_of(url)}:{port_of(url)}: {said}. Set {name} to the login "
        "that the server knows (README.md, “Settings”)."
    )


def raise_file_limit() -> str | None:
    """Let this process and its children open as many files as they may.

    No more than FILES_MAX: Erlang closes each of them before it starts a program. Return a sentence
    where it stays few.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    if files >= FILES_ENOUGH:
        return None
    return (
        f"A process may open {files} files here (ulimit -Hn), so fewer pages can be live at once; "
        "the log of web says how many. The others work, and are not told of news."
    )


def parts_of(*, services: bool, broker: bool, database: bool) -> list[str]:
    """Return the parts that a run starts itself and that listen."""
    theirs = {"postgres": database} | dict.fromkeys(
        ("amqp", "management", "prometheus", "erlang_distribution", "epmd"), broker
    )
    return [part for part in DEFAULT_PORTS if theirs.get(part, services)]
