"""The words of each text apart, and those of tickets that are not closed beside, for users."""

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = """
DROP TRIGGER ticket_words_kept ON ticket;
DROP TRIGGER message_words_kept ON message;
DROP FUNCTION keep_description_words;
DROP FUNCTION keep_message_words;
DROP TABLE ticket_text;
DROP INDEX word_parts;
TRUNCATE word;
-- No search walks it any more, and where the planner takes it, rare pairs of status and category
-- are looked for among all tickets.
DROP INDEX ticket_latest;

-- Every word of a text once, between spaces; of a description (message 0) or of a message. So an
-- edit, or one more message, costs the same however long the thread is.
CREATE TABLE ticket_text (
    ticket_id bigint NOT NULL CONSTRAINT ticket_text_of_ticket REFERENCES ticket,
    message_id bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    words text NOT NULL,
    CONSTRAINT ticket_text_key PRIMARY KEY (ticket_id, message_id)
);
-- Which words users can read now: those of tickets that are not closed, of the description and of
-- all messages together. What readers ask decides by `ticket.status`, since of a very long thread
-- some rows stay behind. Without a foreign key, which would cost as much as the row: no ticket is
-- ever deleted.
CREATE TABLE visible_word (
    ticket_id bigint NOT NULL,
    in_message boolean NOT NULL,
    text text COLLATE "C" NOT NULL
);
"""

# For tickets that are there already; quicker before the indexes are made.
BACKFILL = """
WITH each AS (
    SELECT id AS ticket_id, 0 AS message_id, opened_at, status, text_words(description) AS words
      FROM ticket
    UNION ALL
    SELECT ticket.id, message.id, opened_at, status, text_words(body)
      FROM message JOIN ticket ON ticket.id = ticket_id
), kept AS (
    INSERT INTO ticket_text (ticket_id, message_id, opened_at, words)
    SELECT ticket_id, message_id, opened_at, ' ' || array_to_string(words, ' ') || ' ' FROM each
), visible AS (
    INSERT INTO visible_word (ticket_id, in_message, text)
    SELECT DISTINCT ticket_id, message_id > 0, word FROM each, unnest(words) AS word
     WHERE status <> 'closed'
)
INSERT INTO word (text, uses)
SELECT word, least(count(DISTINCT ticket_id * 2 + (message_id > 0)::int), 20)
  FROM each, unnest(words) AS word
 GROUP BY word;
"""

INDEXES = """
SET LOCAL maintenance_work_mem = '256MB';
ALTER TABLE visible_word
    ADD CONSTRAINT visible_word_key PRIMARY KEY (text, ticket_id, in_message);
-- Each search reads what is pending from end to end, so that little may be; without any, writers
-- pay a fifth more.
CREATE INDEX ticket_text_words ON ticket_text
    USING gin (string_to_array(words, ' ')) WITH (gin_pending_list_limit = 256);
CREATE INDEX word_parts ON word USING gin (text extensions.gin_trgm_ops)
    WITH (gin_pending_list_limit = 256);
"""

# Where a table looks small for want of statistics, it would be read whole; so would it for hundreds
# of words, since the planner does not know that each row is compared with each of them then.
TRIGGERS = """
CREATE FUNCTION tickets_with_word(text[]) RETURNS TABLE (ticket_id bigint, opened_at timestamptz)
    LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT DISTINCT ticket_id, opened_at FROM ticket_text WHERE string_to_array(words, ' ') && $1
$$;

CREATE FUNCTION keep_description_words() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    new_words text[] := text_words(NEW.description);
    old_words text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ticket_text (ticket_id, message_id, opened_at, words)
        VALUES (NEW.id, 0, NEW.opened_at, ' ' || array_to_string(new_words, ' ') || ' ');
    ELSE
        UPDATE ticket_text SET words = ' ' || array_to_string(new_words, ' ') || ' '
         WHERE ticket_id = NEW.id AND message_id = 0;
        IF NEW.opened_at <> OLD.opened_at THEN
            UPDATE ticket_text SET opened_at = NEW.opened_at WHERE ticket_id = NEW.id;
        END IF;
        old_words := text_words(OLD.description);
        DELETE FROM visible_word
         WHERE text = ANY(ARRAY(SELECT unnest(old_words) EXCEPT SELECT unnest(new_words)))
           AND ticket_id = NEW.id AND NOT in_message;
        new_words := ARRAY(SELECT unnest(new_words) EXCEPT SELECT unnest(old_words));
    END IF;
    IF NEW.status <> 'closed' THEN
        INSERT INTO visible_word (ticket_id, in_message, text)
        SELECT NEW.id, false, word FROM unnest(new_words) AS word;
    END IF;
    PERFORM learn_words(new_words);
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_words_kept AFTER INSERT OR UPDATE OF description, opened_at ON ticket
    FOR EACH ROW EXECUTE FUNCTION keep_description_words();

-- Only what is new to the thread is counted and, while the ticket is not closed, visible.
CREATE FUNCTION keep_message_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    new_words text[] := text_words(NEW.body);
    of_ticket record;
BEGIN
    SELECT opened_at, status INTO of_ticket FROM ticket WHERE id = NEW.ticket_id;
    INSERT INTO ticket_text (ticket_id, message_id, opened_at, words)
    VALUES (NEW.ticket_id, NEW.id, of_ticket.opened_at,
            ' ' || array_to_string(new_words, ' ') || ' ');
    IF of_ticket.status <> 'closed' THEN
        WITH new_to_thread AS (
            INSERT INTO visible_word (ticket_id, in_message, text)
            SELECT NEW.ticket_id, true, word FROM unnest(new_words) AS word
            ON CONFLICT DO NOTHING
            RETURNING text
        )
        SELECT array_agg(text) INTO new_words FROM new_to_thread;
    END IF;
    PERFORM learn_words(new_words);
    RETURN NULL;
END $$;
CREATE TRIGGER message_words_kept AFTER INSERT ON message
    FOR EACH ROW EXECUTE FUNCTION keep_message_words();

-- As many texts as nearly all threads have: no thread is so long that its ticket cannot be closed.
CREATE FUNCTION hide_words() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    old_words text;
BEGIN
    FOR old_words IN
        SELECT words FROM ticket_text WHERE ticket_id = NEW.id ORDER BY message_id LIMIT 200
    LOOP
        DELETE FROM visible_word
         WHERE text = ANY(string_to_array(old_words, ' ')) AND ticket_id = NEW.id;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_words_hidden AFTER UPDATE OF status ON ticket
    FOR EACH ROW WHEN (NEW.status = 'closed') EXECUTE FUNCTION hide_words();
"""


def upgrade() -> None:
    """Apply the version."""
    for sql in (TABLES, BACKFILL, INDEXES, TRIGGERS):
        op.execute(sql)
