"""Who else has a problem, since when somebody waits for helpdesk, and canned replies."""

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = """
ALTER TABLE ticket
    ADD COLUMN affected integer NOT NULL DEFAULT 0,
    ADD COLUMN waiting_since timestamptz,
    ADD CONSTRAINT ticket_each_affected_is_a_version
        CHECK (affected BETWEEN 0 AND version - 1),
    ADD CONSTRAINT ticket_closed_waits_for_nothing
        CHECK (status <> 'closed' OR waiting_since IS NULL),
    ADD CONSTRAINT ticket_waits_since_a_change
        CHECK (waiting_since BETWEEN opened_at AND modified_at);

-- By the rules from now on: what a reporter said first after helpdesk's last word.
UPDATE ticket SET waiting_since = since
  FROM (
    SELECT ticket_id, min(at) AS since
      FROM history AS said
     WHERE (action = 'opened' OR action = 'message_sent' AND role = 'user')
       AND NOT EXISTS (
        SELECT FROM history AS later
         WHERE later.ticket_id = said.ticket_id AND later.version > said.version
           AND (action = 'activated' OR action = 'message_sent' AND role = 'helpdesk'))
     GROUP BY ticket_id
  ) AS waiting
 WHERE id = ticket_id AND status <> 'closed';

CREATE INDEX ticket_by_affected ON ticket (status, coalesce(category, 'none'), affected, id);
-- Who waits for nothing comes last, and a page can start there too.
CREATE INDEX ticket_by_waiting ON ticket
    (status, coalesce(category, 'none'), coalesce(waiting_since, 'infinity'), id);

-- Each browser counts once; the key is one that it made up, and says nothing of who reads there.
CREATE TABLE affected (
    ticket_id bigint NOT NULL CONSTRAINT affected_of_ticket REFERENCES ticket,
    browser uuid NOT NULL,
    CONSTRAINT affected_counted_once PRIMARY KEY (ticket_id, browser)
);

ALTER TABLE history
    DROP CONSTRAINT history_action_known,
    ADD CONSTRAINT history_action_known CHECK (action IN (
        'opened', 'description_edited', 'categorised', 'activated', 'closed', 'message_sent',
        'duplicate_marked', 'duplicate_unmarked', 'affected'));

-- Answers that helpdesk gives often.
CREATE TABLE reply (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT reply_key PRIMARY KEY,
    title text NOT NULL,
    body text NOT NULL,
    CONSTRAINT reply_title_length CHECK (char_length(title) BETWEEN 1 AND 80),
    CONSTRAINT reply_body_length CHECK (char_length(body) BETWEEN 1 AND 5000)
);
CREATE UNIQUE INDEX reply_title_once ON reply (lower(title));
"""


def upgrade() -> None:
    """Apply the version."""
    op.execute(SQL)
