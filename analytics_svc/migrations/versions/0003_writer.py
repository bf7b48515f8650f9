"""Writers take turns by a row of their own: an advisory lock is anybody's in the database."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply the version."""
    op.execute(
        """
        CREATE TABLE writer (
            single boolean DEFAULT true CONSTRAINT writer_key PRIMARY KEY
                CONSTRAINT writer_has_one_row CHECK (single)
        );
        INSERT INTO writer DEFAULT VALUES;
        """
    )
