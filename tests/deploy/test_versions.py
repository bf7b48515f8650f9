"""A backup can be restored into every promised version of PostgreSQL that the machine has."""

import os
from pathlib import Path

import psycopg
import pytest

from deploy.archive import write
from deploy.backup import load
from runtime.migrate import migrate
from tests.conftest import Broker, Names
from tests.postgres import INSTALLED, initialise, running

TICKETS = """
    INSERT INTO tickets.ticket (description) SELECT 'Lift ' || n FROM generate_series(1, 50) AS n
"""
VECTOR = """
    INSERT INTO tickets.ticket_vector (ticket_id, version, model, embedding)
    SELECT 1, 1, 'm', array_fill(0.5, ARRAY[512])::extensions.halfvec
"""


@pytest.mark.skipif(not INSTALLED, reason="Debian's PostgreSQL is not installed")
@pytest.mark.parametrize("program", INSTALLED, ids=lambda program: program.parents[1].name)
def test_a_backup_is_restored_into_another_version(
    names: Names,
    broker: Broker,
    ticket_database_url: str,
    tmp_path: Path,
    program: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "campus.dump"
    with psycopg.connect(ticket_database_url) as here:
        here.execute(TICKETS)
        here.execute(VECTOR)
    write(ticket_database_url, file)
    with running(program) as port:
        initialise(program, port, "ticket-password", "analytics-password")
        there = {
            f"{name}_DATABASE_URL": f"postgresql://{user}:{password}@127.0.0.1:{port}/campus"
            for name, user, password in (
                ("TICKET", "ticket_svc", "ticket-password"),
                ("ANALYTICS", "analytics_svc", "analytics-password"),
            )
        }
        # --- A new helpdesk on that version, with a ticket that the restore replaces.
        migrate("ticket_svc", there["TICKET_DATABASE_URL"])
        migrate("analytics_svc", there["ANALYTICS_DATABASE_URL"])
        with psycopg.connect(there["TICKET_DATABASE_URL"]) as tickets:
            tickets.execute("INSERT INTO tickets.ticket (description) VALUES ('Gone')")
        settings = {"TICKET_AMQP_URL": broker.url("ticket_svc"), "PATH": os.environ["PATH"]}
        status = load(names.values | settings | there, file)
        said = capsys.readouterr().out
        assert status == 0, said
        with psycopg.connect(there["TICKET_DATABASE_URL"]) as tickets:
            found = tickets.execute("SELECT description FROM tickets.ticket ORDER BY id").fetchall()
            vectors = tickets.execute("SELECT embedding::text FROM tickets.ticket_vector")
            assert [text for (text,) in found] == [f"Lift {n}" for n in range(1, 51)]
            assert len((vectors.fetchone() or ("",))[0].split(",")) == 512
        # --- And a backup of it is one.
        again = write(there["TICKET_DATABASE_URL"], tmp_path / "again.dump")
        assert again.counts.tickets == 50
