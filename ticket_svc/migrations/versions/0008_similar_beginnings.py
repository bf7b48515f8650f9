"""Similar words are looked for in the beginning of a text: an index holds no more of a dense one.

An entry of the index had all trigrams of a text, and PostgreSQL refuses one of more than 8 191
bytes, which 3 500 Chinese letters have, or 260 identifiers. 2 000 characters have 2 001 at most,
of three bytes each.
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the version."""
    op.execute(
        """
        DROP INDEX ticket_similar;
        CREATE INDEX ticket_similar ON ticket
            USING gist (left(description, 2000) extensions.gist_trgm_ops (siglen = 256))
            WHERE status <> 'closed';
        """
    )
