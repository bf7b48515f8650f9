"""The relays take turns by a row of their own: an advisory lock is anybody's in the database."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply the version."""
    op.execute(
        """
        CREATE TABLE relay (
            single boolean DEFAULT true CONSTRAINT relay_key PRIMARY KEY
                CONSTRAINT relay_has_one_row CHECK (single)
        );
        INSERT INTO relay DEFAULT VALUES;
        """
    )
