"""New words are looked up by key from the first ticket on, however old the table's statistics."""

from alembic import op

revision = "0005"
down_revision = "0004"

# A table that has never been analyzed looks small, and was read whole for each text. Neither a plan
# that was made while it was empty nor one without statistics may do that.
SQL = """
CREATE OR REPLACE FUNCTION learn_words(text[]) RETURNS void LANGUAGE sql
    SET enable_seqscan = off AS $$
    INSERT INTO word (text, uses)
    SELECT used, 1
      FROM unnest($1) AS used
      LEFT JOIN LATERAL (SELECT uses FROM word WHERE text = used LIMIT 1) AS known ON true
     WHERE coalesce(known.uses, 0) < 20
     ORDER BY used COLLATE "C"
    ON CONFLICT (text) DO UPDATE SET uses = word.uses + 1
$$;
"""


def upgrade() -> None:
    """Apply the version."""
    op.execute(SQL)
