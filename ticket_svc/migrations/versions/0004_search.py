"""The words of each ticket, and all words that were ever written, for searches."""

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"

TABLES = r"""
-- Case, accents and forms of letters that mean the same don't tell words apart.
CREATE FUNCTION fold_text(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT extensions.unaccent('extensions.unaccent', lower(normalize($1, NFKC)))
$$;

-- The different words of a text, sorted. What is longer than 100 characters (a script without
-- spaces) becomes pieces that overlap by half, so that a part of up to 50 is whole in one of them.
CREATE FUNCTION text_words(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT DISTINCT substr(word, begin + 1, 100) COLLATE "C" AS piece
          FROM regexp_split_to_table(
                   fold_text($1), '[\s,;!?"''()\[\]{}<>«»„“”‘’…/|·—–。、，！？「」（）]+') AS part,
               btrim(part, '.:*_`~-') AS word,
               generate_series(0, greatest(char_length(word) - 51, 0), 50) AS begin
         WHERE word <> ''
         ORDER BY piece)
$$;

-- Every word of a ticket's description and messages once, between spaces. What is found is sorted
-- by the time of opening before its tickets are read.
CREATE TABLE ticket_text (
    ticket_id bigint CONSTRAINT ticket_text_key PRIMARY KEY
        CONSTRAINT ticket_text_of_ticket REFERENCES ticket,
    opened_at timestamptz NOT NULL,
    words text NOT NULL
);
-- Every word that was ever written, and in how many texts; nobody counts beyond 20, so that
-- writers don't wait for each other at usual words.
CREATE TABLE word (
    text text COLLATE "C" CONSTRAINT word_key PRIMARY KEY,
    uses integer NOT NULL
);
"""

# For tickets that are there already; quicker before the indexes are made.
BACKFILL = r"""
WITH each AS (
    SELECT id, opened_at, text_words(concat_ws(E'\n', description,
               (SELECT string_agg(body, E'\n') FROM message WHERE ticket_id = ticket.id))) AS words
      FROM ticket
), kept AS (
    INSERT INTO ticket_text (ticket_id, opened_at, words)
    SELECT id, opened_at, ' ' || array_to_string(words, ' ') || ' ' FROM each
)
INSERT INTO word (text, uses)
SELECT word, least(count(*), 20) FROM each, unnest(words) AS word GROUP BY word;

"""

INDEXES = """
SET LOCAL maintenance_work_mem = '256MB';
-- Each search reads what is pending from end to end, so that little may be; without any, writers
-- pay a fifth more.
CREATE INDEX ticket_text_words ON ticket_text
    USING gin (string_to_array(words, ' ')) WITH (gin_pending_list_limit = 256);
CREATE INDEX word_parts ON word USING gin (text extensions.gin_trgm_ops)
    WITH (gin_pending_list_limit = 256);
"""

TRIGGERS = r"""
DROP INDEX ticket_words;
DROP INDEX message_words;

-- In the order of the words, or two writers could wait for each other for ever.
CREATE FUNCTION learn_words(text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO word (text, uses)
    SELECT used, 1 FROM unnest($1) AS used LEFT JOIN word ON text = used
     WHERE coalesce(uses, 0) < 20
     ORDER BY used COLLATE "C"
    ON CONFLICT (text) DO UPDATE SET uses = word.uses + 1
$$;

CREATE FUNCTION keep_description_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    new_words text[] := text_words(NEW.description);
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ticket_text (ticket_id, opened_at, words)
        VALUES (NEW.id, NEW.opened_at, ' ' || array_to_string(new_words, ' ') || ' ');
    ELSE
        UPDATE ticket_text
           SET opened_at = NEW.opened_at,
               words = ' ' || array_to_string(text_words(concat_ws(E'\n', NEW.description,
                   (SELECT string_agg(body, E'\n') FROM message WHERE ticket_id = NEW.id))), ' ')
               || ' '
         WHERE ticket_id = NEW.id;
        new_words := ARRAY(
            SELECT unnest(new_words) EXCEPT SELECT unnest(text_words(OLD.description)));
    END IF;
    PERFORM learn_words(new_words);
    RETURN NULL;
END $$;
CREATE TRIGGER ticket_words_kept AFTER INSERT OR UPDATE OF description, opened_at ON ticket
    FOR EACH ROW EXECUTE FUNCTION keep_description_words();

CREATE FUNCTION keep_message_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    new_words text[] := text_words(NEW.body);
    others text[];
BEGIN
    SELECT ARRAY(SELECT word FROM unnest(new_words) AS word
                  WHERE position(' ' || word || ' ' IN words) = 0)
      INTO others FROM ticket_text WHERE ticket_id = NEW.ticket_id;
    IF others <> '{}' THEN
        UPDATE ticket_text SET words = words || array_to_string(others, ' ') || ' '
         WHERE ticket_id = NEW.ticket_id;
        PERFORM learn_words(others);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_words_kept AFTER INSERT ON message
    FOR EACH ROW EXECUTE FUNCTION keep_message_words();
"""


def upgrade() -> None:
    """Apply the version; ends with one sentence where the server lacks unaccent."""
    if op.get_bind().scalar(text("SELECT to_regprocedure('extensions.unaccent(text)')")) is None:
        raise SystemExit(
            "The database needs the extension unaccent: let a superuser run"
            " CREATE EXTENSION unaccent SCHEMA extensions."
        )
    for sql in (TABLES, BACKFILL, INDEXES, TRIGGERS):
        op.execute(sql)
