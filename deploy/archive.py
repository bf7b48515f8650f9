"""The files of a backup: PostgreSQL's dump of the schema `tickets`, and beside it what it holds.

`<file>.json` has the counts of the dump's own snapshot, its digest and its migration, so that a
damaged or foreign file is refused before anything is changed.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Self

import psycopg

from contracts.addresses import parse
from deploy.local.servers import POSTGRES_BIN_PATH

MIGRATIONS = Path(__file__).resolve().parent.parent / "ticket_svc" / "migrations" / "versions"
SCHEMA = "tickets"
# What asks for TLS, of which the programs in the wheel know nothing; those of Debian do.
TLS_MODES = ("require", "verify-ca", "verify-full")
DEBIAN = Path("/usr/lib/postgresql")
# A script begins with its settings; no row of a table comes so early.
SETTINGS_BYTES = 1024


class ArchiveError(Exception):
    """Why there is no backup or no restore, said in one sentence."""


class Counts(NamedTuple):
    """How much a backup holds."""

    tickets: int
    messages: int
    history: int

    @classmethod
    def of(cls, connection: "psycopg.Connection[Any]") -> Self:
        """Return what the connection's snapshot holds."""
        row = connection.execute(
            """
            SELECT (SELECT count(*) FROM tickets.ticket),
                   (SELECT count(*) FROM tickets.message),
                   (SELECT count(*) FROM tickets.history)
            """
        ).fetchone()
        assert row is not None
        return cls(*row)


class Archive(NamedTuple):
    """What is known about a dump."""

    counts: Counts
    sha256: str
    migration: str


def write(url: str, file: Path) -> Archive:
    """Dump the schema into a new file, readable by its owner only.

    Dump and counts are of one snapshot. A run that is interrupted leaves no file of that name.
    """
    if file.exists():
        raise ArchiveError(f"{file} is there already and stays as it is.")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    try:
        with psycopg.connect(url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The role's limit is for services; a long dump needs its snapshot for longer.
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            snapshot, migration = connection.execute(
                "SELECT pg_export_snapshot(), version_num FROM tickets.alembic_version"
            ).fetchone() or ("", "")
            counts = Counts.of(connection)
            options = ("--format=custom", f"--schema={SCHEMA}", f"--snapshot={snapshot}")
            pg(url, "pg_dump", *options, "--file", part)
        archive = Archive(counts, _digest(part), migration)
        beside = _beside(file)
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(archive._asdict() | {"counts": counts._asdict()}) + "\n")
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    return archive


def to_sql(file: Path, script: Path) -> Archive | None:
    """Write the dump's SQL, without the schema itself; return what is known about it, if anything.

    Raises ArchiveError where the file is no whole dump of tickets that this version can read.
    """
    if not file.is_file():
        raise ArchiveError(f"There is no file {file}.")
    archive = _known(file)
    if archive and archive.sha256 != _digest(file):
        raise ArchiveError(f"{file} is damaged or cut off: it is not what was written.")
    if archive and not any(MIGRATIONS.glob(f"{archive.migration}_*.py")):
        raise ArchiveError(f"{file} was made by a newer version (migration {archive.migration}).")
    done = _run("pg_restore", "--no-owner", "--no-acl", f"--schema={SCHEMA}", "-f", script, file)
    if done.returncode:
        raise ArchiveError(f"{file} is no whole backup: {_last_line(done.stderr)}")
    with script.open() as lines:
        if not any(line.startswith(f"CREATE TABLE {SCHEMA}.ticket ") for line in lines):
            raise ArchiveError(f"{file} holds no tickets.")
    _leave_out_newer_setting(script)
    return archive


def _leave_out_newer_setting(script: Path) -> None:
    # pg_restore writes it for every server, and PostgreSQL before 17 does not know it. A comment
    # of the same length: the rest of the script may be large, and stays where it is.
    with script.open("r+b") as content:
        start = content.read(SETTINGS_BYTES)
        if (at := start.find(b"\nSET transaction_timeout = 0;\n")) >= 0:
            content.seek(at + 1)
            content.write(b"-- ")


def pg(url: str, program: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs on a database; the password is not on its command line."""
    address = parse("TICKET_DATABASE_URL", url)
    without = address.without(password=True).url
    path = _with_tls(program) if address.options.get("sslmode") in TLS_MODES else program
    done = _run(path, "--dbname", without, *arguments, PGPASSWORD=address.password)
    if done.returncode:
        raise ArchiveError(f"{program}: {_last_line(done.stderr)}")


def _with_tls(program: str) -> Path:
    found = sorted(DEBIAN.glob(f"*/bin/{program}"), key=lambda path: int(path.parents[1].name))
    if not found:
        raise ArchiveError(f"For TLS the {program} of postgresql-client is needed: install that.")
    return found[-1]


def _run(
    program: str | Path, *arguments: str | Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    command = [str(POSTGRES_BIN_PATH / program), *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, check=False, capture_output=True, text=True
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[-1]


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _known(file: Path) -> Archive | None:
    if not _beside(file).exists():
        return None
    try:
        known = json.loads(_beside(file).read_text())
        return Archive(Counts(**known["counts"]), known["sha256"], known["migration"])
    except (ValueError, TypeError, KeyError):
        raise ArchiveError(f"{_beside(file)} cannot be understood.") from None


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
