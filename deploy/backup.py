"""Backs the tickets up while everything runs, and restores them into a stopped helpdesk.

    python -m deploy.backup [--home DIR] backup [FILE]
    python -m deploy.backup [--home DIR] restore FILE

Only the tickets are the truth: the read model is rebuilt from them, and what waits in queues and
speaks of the time before is thrown away. `restore` uses the two other commands: `load`, while only
the servers run, and `check`, once everything runs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pika
import psycopg
from pika.exceptions import AMQPError

from bus.pika_address import parameters
from contracts.addresses import check_address, parse
from contracts.topology import (
    ANALYTICS_TICKETS,
    RPC_CLASSIFY,
    RPC_EMBED,
    TICKET_CATEGORISED,
    TICKET_EMBEDDED,
)
from deploy.archive import ArchiveError, Counts, pg, to_sql, write
from deploy.local.environment import forget_foreign
from deploy.local.names import is_listening, read

ROOT = Path(__file__).resolve().parent.parent
# Their messages speak of the state before: an event would be counted that never was.
STALE_QUEUES = (ANALYTICS_TICKETS, TICKET_CATEGORISED, TICKET_EMBEDDED, RPC_CLASSIFY, RPC_EMBED)
REBUILD_TIMEOUT_SECONDS = 600
POLL_SECONDS = 0.2

# Where PostgreSQL has such a limit; the dump's own line, which older ones refuse, is left out.
LIFT_LIMIT = (
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'"
)
# The role owns the schema but may not make one, so the schema stays and everything in it goes.
EMPTY_SCHEMA = """
DO $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('DROP TABLE %s CASCADE', oid::regclass)
          FROM pg_class WHERE relnamespace = 'tickets'::regnamespace AND relkind = 'r'
        UNION ALL
        SELECT format('DROP ROUTINE %s CASCADE', oid::regprocedure)
          FROM pg_proc WHERE pronamespace = 'tickets'::regnamespace
    LOOP
        EXECUTE command;
    END LOOP;
END $$;
"""
# Who waited for a category then asked in a queue that is not in the backup. For missing vectors the
# ticket service asks by itself.
ASK_AGAIN = """
    INSERT INTO tickets.outbox (type, ticket_id, version, body)
    SELECT %(queue)s, id, version, json_build_object('text', description)
      FROM tickets.ticket
     WHERE category IS NULL
       AND NOT EXISTS (SELECT FROM tickets.outbox WHERE type = %(queue)s AND ticket_id = ticket.id)
"""
# A number that people have on paper never comes to mean another ticket.
LAST_NUMBER = "SELECT last_value FROM tickets.ticket_id_seq"
GO_ON_AFTER = """
    SELECT setval('tickets.ticket_id_seq', greatest(last_value, %s)) FROM tickets.ticket_id_seq
"""
# A dump has no statistics, and autovacuum takes a minute to see what was loaded.
ANALYZE = """
    SELECT format('ANALYZE %s', string_agg(oid::regclass::text, ', '))
      FROM pg_class WHERE relnamespace = 'tickets'::regnamespace AND relkind = 'r'
"""
STATUSES = """
    SELECT count(*), count(*) FILTER (WHERE status = 'open'),
           count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'closed')
      FROM tickets.ticket
"""
REPORTED = """
    SELECT coalesce(sum(opened), 0)::bigint, coalesce(sum(open), 0)::bigint,
           coalesce(sum(active), 0)::bigint, coalesce(sum(opened - open - active), 0)::bigint
      FROM analytics.opened_month JOIN analytics.projection USING (generation)
     WHERE scope = 'all'
"""


def backup(names: Mapping[str, str], file: Path | None) -> None:
    """Write a backup of this moment; writers don't notice."""
    started = time.monotonic()
    instant = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    file = file or ROOT / "backups" / f"campus-{instant}.dump"
    archive = write(_needed(names, "TICKET_DATABASE_URL"), file)
    size_mb = file.stat().st_size / 1e6
    print(f"{file}: {size_mb:.1f} MB in {time.monotonic() - started:.1f} s")
    print(f"{archive.counts.tickets} tickets, {archive.counts.messages} messages, ", end="")
    print(f"{archive.counts.history} history items")


def restore(names: Mapping[str, str], home: Path, file: Path) -> int:
    """Replace all tickets by those of a backup; return the exit status.

    Raises ArchiveError before anything is changed: the file is wrong, or the helpdesk runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        to_sql(file, Path(folder) / "check.sql")
    for name in ("WEB_URL", "TICKET_API_URL"):
        if name in names and is_listening(names[name]):
            raise ArchiveError(f"The helpdesk runs ({names[name]} answers): stop it first.")
    local = [sys.executable, "-m", "deploy.local", "--home", str(home)]
    ours = [sys.executable, "-m", "deploy.backup"]
    for options, command in ((["--servers-only"], "load"), ([], "check")):
        print(f"{command.capitalize()}:", flush=True)
        done = subprocess.run(
            [*local, *options, "--", *ours, command, str(file)], cwd=ROOT, check=False
        )
        if done.returncode:
            return 1
    print("Restored. `make run` starts the helpdesk.")
    return 0


def load(names: Mapping[str, str], file: Path) -> int:
    """Load a backup in one transaction, while no service runs; return 1 where counts differ."""
    url = _needed(names, "TICKET_DATABASE_URL")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.sql"
        archive = to_sql(file, script)
        with psycopg.connect(url) as tickets:
            last_number = tickets.execute(LAST_NUMBER).fetchone()
        options = ("-X", "-q", "-1", "-v", "ON_ERROR_STOP=1")
        pg(url, "psql", *options, "-c", LIFT_LIMIT, "-c", EMPTY_SCHEMA, "-f", script)
    _migrate(names)
    # After a crash from here on the next `restore` does all of it again.
    _forget_messages(names)
    with psycopg.connect(url) as tickets:
        tickets.execute(GO_ON_AFTER, last_number)
        tickets.execute(ASK_AGAIN, {"queue": RPC_CLASSIFY})
        [analyze] = tickets.execute(ANALYZE).fetchone() or ("ANALYZE",)
        tickets.execute(analyze)
    with psycopg.connect(_needed(names, "ANALYTICS_DATABASE_URL")) as analytics:
        analytics.execute("DELETE FROM analytics.projection")
    if archive is None:
        print("There are no counts beside the file; nothing can be compared.")
        return 0
    with psycopg.connect(url) as tickets:
        return _compare("backup", archive.counts, "restored", Counts.of(tickets), Counts._fields)


def check(names: Mapping[str, str]) -> int:
    """Wait until the read model is rebuilt; return 1 where it differs from the tickets."""
    end = time.monotonic() + REBUILD_TIMEOUT_SECONDS
    with (
        psycopg.connect(_needed(names, "TICKET_DATABASE_URL"), autocommit=True) as tickets,
        psycopg.connect(_needed(names, "ANALYTICS_DATABASE_URL"), autocommit=True) as analytics,
    ):
        while True:
            built = analytics.execute("SELECT FROM analytics.projection").fetchone() is not None
            truth = tickets.execute(STATUSES).fetchone() or ()
            reported = analytics.execute(REPORTED).fetchone() or ()
            # Somebody may write already, and the reports follow a moment later.
            if (built and truth == reported) or time.monotonic() > end:
                break
            time.sleep(POLL_SECONDS)
    if not built:
        print("The read model is not rebuilt: see the log of analytics_svc.", file=sys.stderr)
        return 1
    return _compare("tickets", truth, "reports", reported, ("opened", "open", "active", "closed"))


def _compare(
    left: str,
    expected: tuple[int, ...],
    right: str,
    found: tuple[int, ...],
    names: tuple[str, ...],
) -> int:
    print(f"  {'':<10}{left:>12}{right:>12}")
    for name, a, b in zip(names, expected, found, strict=True):
        print(f"  {name:<10}{a:>12}{b:>12}{'' if a == b else '  differs'}")
    return 0 if expected == found else 1


def _migrate(names: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "ticket_svc", "migrate"]
    done = subprocess.run(command, cwd=ROOT, env=names, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ArchiveError(f"The backup could not be migrated: {done.stderr.strip()}")


def _forget_messages(names: Mapping[str, str]) -> None:
    address = parse("TICKET_AMQP_URL", _needed(names, "TICKET_AMQP_URL"))
    password = _needed(names, "RABBITMQ_ADMIN_PASSWORD")
    admin = replace(address, user="admin", password=password)
    with pika.BlockingConnection(parameters(admin, "restore")) as connection:
        channel = connection.channel()
        for queue in STALE_QUEUES:
            channel.queue_purge(queue)


def _needed(names: Mapping[str, str], name: str) -> str:
    if not names.get(name):
        raise ArchiveError(f"No helpdesk is known: start one with `make run`, or set {name}.")
    try:
        return check_address(name, names[name])
    except ValueError as error:
        raise ArchiveError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.backup", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / ".local", help="where data is kept")
    parser.add_argument("command", choices=("backup", "restore", "load", "check"))
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    return parser


def main() -> int:
    """Run a command; return 1 where it did not do what was asked."""
    options = _parser().parse_args()
    forget_foreign(os.environ)
    names = read(options.home / "env") | os.environ
    file: Path | None = options.file and options.file.resolve()
    try:
        match options.command:
            case "backup":
                backup(names, file)
                return 0
            case "check":
                return check(names)
        if file is None:
            raise ArchiveError("Say which backup: make restore FILE=backups/….dump")
        if options.command == "restore":
            return restore(names, options.home.resolve(), file)
        return load(names, file)
    except (ArchiveError, psycopg.Error, OSError) as error:
        print(str(error).strip(), file=sys.stderr)
        return 1
    except AMQPError as error:
        print(f"The broker is away or refuses: {error!r}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
