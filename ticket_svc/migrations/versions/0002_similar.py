"""Vectors behind similar tickets, and which ticket is a duplicate of which."""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"

SQL = """
ALTER TABLE ticket
    ADD COLUMN duplicate_of bigint CONSTRAINT ticket_duplicate_of_ticket REFERENCES ticket,
    ADD CONSTRAINT ticket_no_duplicate_of_itself CHECK (duplicate_of <> id);
CREATE INDEX ticket_duplicates ON ticket (duplicate_of) WHERE duplicate_of IS NOT NULL;

ALTER TABLE history
    DROP CONSTRAINT history_action_known,
    ADD CONSTRAINT history_action_known CHECK (action IN (
        'opened', 'description_edited', 'categorised', 'activated', 'closed', 'message_sent',
        'duplicate_marked', 'duplicate_unmarked'));

-- Where the description of a ticket that is not closed lies among all texts; the ticket has it at
-- `version`. Vectors of different models cannot be compared.
CREATE TABLE ticket_vector (
    ticket_id bigint CONSTRAINT ticket_vector_key PRIMARY KEY
        CONSTRAINT ticket_vector_of_ticket REFERENCES ticket,
    version integer NOT NULL,
    model text NOT NULL,
    embedding halfvec(512) NOT NULL
);
-- Its signs alone, in a table of their own: a tenth of the bytes, so that all of them are looked
-- through for what may be near. A graph (HNSW) is faster and misses the rare problem among many.
CREATE TABLE ticket_signs (
    ticket_id bigint CONSTRAINT ticket_signs_key PRIMARY KEY
        CONSTRAINT ticket_signs_of_vector REFERENCES ticket_vector ON DELETE CASCADE,
    signs bit(512) NOT NULL
);
-- Who asks for vectors walks this one.
CREATE INDEX ticket_unclosed ON ticket (id) WHERE status <> 'closed';

-- A trigger sees also the vector that was stored while the closing waited for its lock.
CREATE FUNCTION forget_vector() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ticket_vector WHERE ticket_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_closed AFTER UPDATE OF status ON ticket
    FOR EACH ROW WHEN (NEW.status = 'closed') EXECUTE FUNCTION forget_vector();
"""


def upgrade() -> None:
    """Apply the version; ends with one sentence where the server lacks pgvector."""
    if op.get_bind().scalar(text("SELECT to_regtype('halfvec')")) is None:
        raise SystemExit(
            "The database needs the extension vector (pgvector 0.7 or newer): let a superuser run"
            " CREATE EXTENSION vector SCHEMA extensions."
        )
    op.execute(SQL)
