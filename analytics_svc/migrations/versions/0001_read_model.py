"""The read model: the state last seen of each ticket, and four rollups."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.execute(
        """
        CREATE TABLE projection (
            single boolean DEFAULT true CONSTRAINT projection_key PRIMARY KEY
                CONSTRAINT projection_has_one_row CHECK (single),
            timezone text NOT NULL,
            built_at timestamptz NOT NULL
        );

        CREATE TABLE ticket_state (
            id bigint CONSTRAINT ticket_state_key PRIMARY KEY,
            version bigint NOT NULL,
            opened_at timestamptz NOT NULL,
            opened_day date NOT NULL,
            closed_at timestamptz,
            status text NOT NULL
                CONSTRAINT ticket_state_status_known CHECK (status IN ('open', 'active', 'closed')),
            category text
                CONSTRAINT ticket_state_category_known CHECK (
                    category IN ('facility_management', 'technical_it', 'services_complaints')
                ),
            CONSTRAINT ticket_state_closed_has_instant
                CHECK ((status = 'closed') = (closed_at IS NOT NULL))
        );
        CREATE INDEX ticket_state_by_opening ON ticket_state (opened_at);

        CREATE TABLE opened_day (
            day date CONSTRAINT opened_day_key PRIMARY KEY,
            opened bigint NOT NULL CONSTRAINT opened_day_opened_counts CHECK (opened >= 0),
            open bigint NOT NULL CONSTRAINT opened_day_open_counts CHECK (open >= 0),
            active bigint NOT NULL CONSTRAINT opened_day_active_counts CHECK (active >= 0)
        );

        CREATE TABLE opened_quarter (
            start timestamptz CONSTRAINT opened_quarter_key PRIMARY KEY,
            opened bigint NOT NULL CONSTRAINT opened_quarter_opened_counts CHECK (opened >= 0),
            open bigint NOT NULL CONSTRAINT opened_quarter_open_counts CHECK (open >= 0),
            active bigint NOT NULL CONSTRAINT opened_quarter_active_counts CHECK (active >= 0)
        );

        CREATE TABLE opened_month (
            month date CONSTRAINT opened_month_key PRIMARY KEY,
            closed bigint NOT NULL CONSTRAINT opened_month_closed_counts CHECK (closed >= 0),
            closed_microseconds numeric(30, 0) NOT NULL,
            unclosed bigint NOT NULL CONSTRAINT opened_month_unclosed_counts CHECK (unclosed >= 0)
        );

        CREATE TABLE active_category (
            category text CONSTRAINT active_category_key UNIQUE NULLS NOT DISTINCT
                CONSTRAINT active_category_known CHECK (
                    category IN ('facility_management', 'technical_it', 'services_complaints')
                ),
            active bigint NOT NULL CONSTRAINT active_category_active_counts CHECK (active >= 0)
        );
        """
    )
