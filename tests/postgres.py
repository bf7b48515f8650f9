"""A PostgreSQL of the distribution, beside the one of the run: other versions, and TLS.

Knows how one is made and ended, not what it is for.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.names import HOST, free_port
from deploy.local.servers import DEPLOY, wait_until
from deploy.local.users import GROUP, POSTGRES, as_user, name_of

# Debian keeps each version apart.
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
PASSWORD = "a password of the tests"
# Debian 12 has no pgvector. Tests on such a server keep vectors as texts and never compare them.
NO_PGVECTOR = """
CREATE TYPE extensions.halfvec;
CREATE FUNCTION extensions.halfvec_in(cstring) RETURNS extensions.halfvec
    LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION extensions.halfvec_out(extensions.halfvec) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE extensions.halfvec (INPUT = extensions.halfvec_in, OUTPUT = extensions.halfvec_out,
    TYPMOD_IN = numerictypmodin, TYPMOD_OUT = numerictypmodout, LIKE = text);
"""


@contextmanager
def private_folder() -> Iterator[Path]:
    """Lend a folder to programs that refuse to run as root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        own(folder)
        yield folder


def own(path: Path) -> None:
    """Give a file to the user who runs what refuses to run as root."""
    if os.geteuid() == 0:
        shutil.chown(path, name_of(POSTGRES), GROUP)


def unprivileged() -> list[str]:
    """Return what the command of such a program begins with."""
    return as_user(POSTGRES, [])


@contextmanager
def running(program: Path, **settings: str) -> Iterator[int]:
    """Run a server without data, with TLS settings for instance; yield its port."""
    port = free_port()
    options = {
        "port": str(port),
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "fsync": "off",
    } | settings
    with private_folder() as folder:
        password = folder / "password"
        password.write_text(PASSWORD)
        own(password)
        command = [str(program.with_name("initdb")), "-D", str(folder / "data"), "-U", "postgres"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync"]
        command.append(f"--pwfile={password}")
        subprocess.run([*unprivileged(), *command], check=True, capture_output=True, cwd=folder)
        command = [str(program), "-D", str(folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*unprivileged(), *command], stdout=output, stderr=output, cwd=folder
            )
        try:
            ready = [str(program.with_name("pg_isready")), "-q", "-h", HOST, "-p", str(port)]
            wait_until(
                str(program),
                lambda: subprocess.run(ready, check=False).returncode == 0,
                log,
            )
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # ends sessions instead of waiting for them
            server.wait(timeout=20)


def initialise(program: Path, port: int, ticket_password: str, analytics_password: str) -> None:
    """Run `init.sql` there, without pgvector where the distribution has none."""
    psql = [str(program.with_name("psql")), "-X", "-q", "-h", HOST, "-p", str(port)]
    psql += ["-U", "postgres", "-v", "ON_ERROR_STOP=1"]
    sql = (DEPLOY / "postgres" / "init.sql").read_text()
    installed = program.parents[1]
    shares = (installed / "share", Path("/usr/share/postgresql") / installed.name)
    if not any(path for share in shares for path in share.rglob("vector.control")):
        line = "CREATE EXTENSION IF NOT EXISTS vector SCHEMA extensions;\n"
        assert line in sql
        sql = sql.replace(line, NO_PGVECTOR)
    environment = {
        "PGPASSWORD": PASSWORD,
        "TICKET_DATABASE_PASSWORD": ticket_password,
        "ANALYTICS_DATABASE_PASSWORD": analytics_password,
    }
    subprocess.run(
        psql, input=sql, env=os.environ | environment, check=True, capture_output=True, text=True
    )
