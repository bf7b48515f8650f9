"""The schema that people read is the one that the migrations make, and it guards itself."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

import ticket_svc
from deploy.local.servers import POSTGRES_BIN_PATH

SCHEMA = Path(ticket_svc.__file__).with_name("schema.sql")


def dump(database_url):
    """Return what a migrated database holds, without what depends on the session or the tool."""
    command = [POSTGRES_BIN_PATH / "pg_dump", "--schema-only", "--no-owner", "--schema=tickets"]
    command += ["--exclude-table=alembic_version", f"--dbname={database_url}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    noise = r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n"
    return re.sub(r"\n{2,}", "\n\n", re.sub(noise, "", text, flags=re.MULTILINE)).strip() + "\n"


def test_migrated_schema_is_the_one_checked_in(ticket_database_url):
    migrated = dump(ticket_database_url)
    assert migrated == SCHEMA.read_text(), "after a migration, write `dump(…)` into schema.sql"


async def test_database_itself_refuses_what_the_rules_never_write(sql):
    await sql.execute("INSERT INTO ticket (description) VALUES ('x')")
    for change, constraint in (
        ("description = ''", "ticket_description_length"),
        ("status = 'done'", "ticket_status_known"),
        ("status = 'closed'", "ticket_closed_at_iff_closed"),
        ("closed_at = now()", "ticket_closed_at_iff_closed"),
        ("category = 'plumbing', category_source = 'helpdesk'", "ticket_category_known"),
        ("category = 'technical_it'", "ticket_category_has_source"),
        ("modified_at = opened_at - interval '1 s'", "ticket_times_ordered"),
        ("messages = 1", "ticket_each_message_is_a_version"),
        ("idempotency_key = gen_random_uuid()", "ticket_request_complete"),
        ("duplicate_of = id", "ticket_no_duplicate_of_itself"),
        ("affected = 1", "ticket_each_affected_is_a_version"),
        ("waiting_since = opened_at - interval '1 s'", "ticket_waits_since_a_change"),
        (
            "status = 'closed', closed_at = modified_at, waiting_since = opened_at",
            "ticket_closed_waits_for_nothing",
        ),
    ):
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await sql.execute(f"UPDATE ticket SET {change}")
        assert refused.value.constraint_name == constraint, change


@pytest.mark.parametrize(("extension", "before"), [("vector", "0001"), ("unaccent", "0003")])
async def test_migration_without_an_extension_says_so_in_one_sentence(
    names, database, ticket_database_url, extension, before
):
    parts = urlsplit(ticket_database_url)
    superuser = await asyncpg.connect(
        host=parts.hostname,
        port=parts.port,
        user="postgres",
        password=names["POSTGRES_PASSWORD"],
        database=database,
    )
    await superuser.execute(f"DROP EXTENSION {extension} CASCADE")
    await superuser.execute(f"UPDATE tickets.alembic_version SET version_num = '{before}'")
    await superuser.close()
    command = [sys.executable, "-m", "ticket_svc", "migrate"]
    done = subprocess.run(
        command, env={"TICKET_DATABASE_URL": ticket_database_url}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    sentence = f"The database needs the extension {extension}"
    assert done.stderr.splitlines()[-1].startswith(sentence)
