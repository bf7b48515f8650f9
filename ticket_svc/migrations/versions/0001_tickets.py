"""Tickets with their messages, history and counts, and the outbox."""

from alembic import op

revision = "0001"
down_revision = None

SQL = """
CREATE TABLE ticket (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT ticket_key PRIMARY KEY,
    description text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    category text,
    category_source text,
    opened_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    messages integer NOT NULL DEFAULT 0,
    idempotency_key uuid CONSTRAINT ticket_opened_once UNIQUE,
    request_hash bytea,
    CONSTRAINT ticket_description_length CHECK (char_length(description) BETWEEN 1 AND 10000),
    CONSTRAINT ticket_status_known CHECK (status IN ('open', 'active', 'closed')),
    CONSTRAINT ticket_category_known
        CHECK (category IN ('facility_management', 'technical_it', 'services_complaints')),
    CONSTRAINT ticket_category_source_known CHECK (category_source IN ('classifier', 'helpdesk')),
    CONSTRAINT ticket_category_has_source CHECK ((category IS NULL) = (category_source IS NULL)),
    CONSTRAINT ticket_closed_at_iff_closed CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT ticket_times_ordered
        CHECK (opened_at <= modified_at AND closed_at BETWEEN opened_at AND modified_at),
    CONSTRAINT ticket_each_message_is_a_version CHECK (messages BETWEEN 0 AND version - 1),
    CONSTRAINT ticket_request_complete CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
);

-- A page is one probe of these for each wanted pair of status and category, whatever is asked.
CREATE INDEX ticket_by_opening ON ticket (status, coalesce(category, 'none'), opened_at, id);
CREATE INDEX ticket_by_change ON ticket (status, coalesce(category, 'none'), modified_at, id);
-- A search for a common word walks this one until the page is full.
CREATE INDEX ticket_latest ON ticket (opened_at, id);
CREATE INDEX ticket_words ON ticket USING gin (description extensions.gin_trgm_ops);
-- Similar tickets are looked for among the few that are not closed.
CREATE INDEX ticket_similar ON ticket
    USING gist (description extensions.gist_trgm_ops (siglen = 256)) WHERE status <> 'closed';

CREATE TABLE message (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT message_key PRIMARY KEY,
    ticket_id bigint NOT NULL CONSTRAINT message_of_ticket REFERENCES ticket,
    author text NOT NULL,
    body text NOT NULL,
    sent_at timestamptz NOT NULL,
    idempotency_key uuid CONSTRAINT message_sent_once UNIQUE,
    request_hash bytea,
    CONSTRAINT message_author_known CHECK (author IN ('user', 'helpdesk')),
    CONSTRAINT message_body_length CHECK (char_length(body) BETWEEN 1 AND 5000),
    CONSTRAINT message_request_complete CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
);
CREATE INDEX message_thread ON message (ticket_id, id);
CREATE INDEX message_words ON message USING gin (body extensions.gin_trgm_ops);

CREATE TABLE history (
    ticket_id bigint NOT NULL CONSTRAINT history_of_ticket REFERENCES ticket,
    version integer NOT NULL,
    at timestamptz NOT NULL,
    role text,
    action text NOT NULL,
    before text,
    after text,
    CONSTRAINT history_one_item_a_version PRIMARY KEY (ticket_id, version),
    CONSTRAINT history_role_known CHECK (role IN ('user', 'helpdesk')),
    CONSTRAINT history_action_known CHECK (action IN (
        'opened', 'description_edited', 'categorised', 'activated', 'closed', 'message_sent'))
);

-- What RabbitMQ has not confirmed yet; `type` is the event's routing key or the request's queue.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_key PRIMARY KEY,
    refusals integer NOT NULL DEFAULT 0,
    type text NOT NULL,
    ticket_id bigint NOT NULL,
    version integer NOT NULL,
    body json NOT NULL
);
CREATE INDEX outbox_next ON outbox (refusals, id);

-- How many tickets stand at each status: the sum over the shards, so that writers rarely meet.
CREATE TABLE ticket_count (
    status text NOT NULL,
    shard integer NOT NULL,
    n bigint NOT NULL,
    CONSTRAINT ticket_count_key PRIMARY KEY (status, shard)
) WITH (fillfactor = 50);
INSERT INTO ticket_count
SELECT status, shard, 0
  FROM unnest(ARRAY['open', 'active', 'closed']) AS status, generate_series(0, 15) AS shard;

-- A status only moves forward, so the old one's row is always locked before the new one's.
CREATE FUNCTION count_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE ticket_count SET n = n - 1
         WHERE status = OLD.status AND shard = pg_backend_pid() % 16;
    END IF;
    UPDATE ticket_count SET n = n + 1
     WHERE status = NEW.status AND shard = pg_backend_pid() % 16;
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_counted AFTER INSERT OR UPDATE OF status ON ticket
    FOR EACH ROW EXECUTE FUNCTION count_ticket();
"""


def upgrade() -> None:
    """Apply the version."""
    op.execute(SQL)
