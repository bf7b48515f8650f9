CREATE SCHEMA tickets;

CREATE FUNCTION tickets.count_ticket() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE ticket_count SET n = n - 1
         WHERE status = OLD.status AND shard = pg_backend_pid() % 16;
    END IF;
    UPDATE ticket_count SET n = n + 1
     WHERE status = NEW.status AND shard = pg_backend_pid() % 16;
    RETURN NULL;
END $$;

CREATE FUNCTION tickets.fold_text(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT extensions.unaccent('extensions.unaccent', lower(normalize($1, NFKC)))
$_$;

CREATE FUNCTION tickets.forget_vector() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM ticket_vector WHERE ticket_id = NEW.id;
    RETURN NULL;
END $$;

CREATE FUNCTION tickets.hide_words() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION tickets.keep_description_words() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION tickets.keep_message_words() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION tickets.learn_words(text[]) RETURNS void
    LANGUAGE sql
    SET enable_seqscan TO 'off'
    AS $_$
    INSERT INTO word (text, uses)
    SELECT used, 1
      FROM unnest($1) AS used
      LEFT JOIN LATERAL (SELECT uses FROM word WHERE text = used LIMIT 1) AS known ON true
     WHERE coalesce(known.uses, 0) < 20
     ORDER BY used COLLATE "C"
    ON CONFLICT (text) DO UPDATE SET uses = word.uses + 1
$_$;

CREATE FUNCTION tickets.text_words(text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT ARRAY(
        SELECT DISTINCT substr(word, begin + 1, 100) COLLATE "C" AS piece
          FROM regexp_split_to_table(
                   fold_text($1), '[\s,;!?"''()\[\]{}<>«»„“”‘’…/|·—–。、，！？「」（）]+') AS part,
               btrim(part, '.:*_`~-') AS word,
               generate_series(0, greatest(char_length(word) - 51, 0), 50) AS begin
         WHERE word <> ''
         ORDER BY piece)
$_$;

CREATE FUNCTION tickets.tickets_with_word(text[]) RETURNS TABLE(ticket_id bigint, opened_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    AS $_$
    SELECT DISTINCT ticket_id, opened_at FROM ticket_text WHERE string_to_array(words, ' ') && $1
$_$;

CREATE TABLE tickets.affected (
    ticket_id bigint NOT NULL,
    browser uuid NOT NULL
);

CREATE TABLE tickets.history (
    ticket_id bigint NOT NULL,
    version integer NOT NULL,
    at timestamp with time zone NOT NULL,
    role text,
    action text NOT NULL,
    before text,
    after text,
    CONSTRAINT history_action_known CHECK ((action = ANY (ARRAY['opened'::text, 'description_edited'::text, 'categorised'::text, 'activated'::text, 'closed'::text, 'message_sent'::text, 'duplicate_marked'::text, 'duplicate_unmarked'::text, 'affected'::text]))),
    CONSTRAINT history_role_known CHECK ((role = ANY (ARRAY['user'::text, 'helpdesk'::text])))
);

CREATE TABLE tickets.message (
    id bigint NOT NULL,
    ticket_id bigint NOT NULL,
    author text NOT NULL,
    body text NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    idempotency_key uuid,
    request_hash bytea,
    CONSTRAINT message_author_known CHECK ((author = ANY (ARRAY['user'::text, 'helpdesk'::text]))),
    CONSTRAINT message_body_length CHECK (((char_length(body) >= 1) AND (char_length(body) <= 5000))),
    CONSTRAINT message_request_complete CHECK (((idempotency_key IS NULL) = (request_hash IS NULL)))
);

ALTER TABLE tickets.message ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tickets.message_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tickets.outbox (
    id bigint NOT NULL,
    refusals integer DEFAULT 0 NOT NULL,
    type text NOT NULL,
    ticket_id bigint NOT NULL,
    version integer NOT NULL,
    body json NOT NULL
);

ALTER TABLE tickets.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tickets.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tickets.relay (
    single boolean DEFAULT true NOT NULL,
    CONSTRAINT relay_has_one_row CHECK (single)
);

CREATE TABLE tickets.reply (
    id bigint NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    CONSTRAINT reply_body_length CHECK (((char_length(body) >= 1) AND (char_length(body) <= 5000))),
    CONSTRAINT reply_title_length CHECK (((char_length(title) >= 1) AND (char_length(title) <= 80)))
);

ALTER TABLE tickets.reply ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tickets.reply_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tickets.ticket (
    id bigint NOT NULL,
    description text NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    category text,
    category_source text,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    modified_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    messages integer DEFAULT 0 NOT NULL,
    idempotency_key uuid,
    request_hash bytea,
    duplicate_of bigint,
    affected integer DEFAULT 0 NOT NULL,
    waiting_since timestamp with time zone,
    CONSTRAINT ticket_category_has_source CHECK (((category IS NULL) = (category_source IS NULL))),
    CONSTRAINT ticket_category_known CHECK ((category = ANY (ARRAY['facility_management'::text, 'technical_it'::text, 'services_complaints'::text]))),
    CONSTRAINT ticket_category_source_known CHECK ((category_source = ANY (ARRAY['classifier'::text, 'helpdesk'::text]))),
    CONSTRAINT ticket_closed_at_iff_closed CHECK (((status = 'closed'::text) = (closed_at IS NOT NULL))),
    CONSTRAINT ticket_closed_waits_for_nothing CHECK (((status <> 'closed'::text) OR (waiting_since IS NULL))),
    CONSTRAINT ticket_description_length CHECK (((char_length(description) >= 1) AND (char_length(description) <= 10000))),
    CONSTRAINT ticket_each_affected_is_a_version CHECK (((affected >= 0) AND (affected <= (version - 1)))),
    CONSTRAINT ticket_each_message_is_a_version CHECK (((messages >= 0) AND (messages <= (version - 1)))),
    CONSTRAINT ticket_no_duplicate_of_itself CHECK ((duplicate_of <> id)),
    CONSTRAINT ticket_request_complete CHECK (((idempotency_key IS NULL) = (request_hash IS NULL))),
    CONSTRAINT ticket_status_known CHECK ((status = ANY (ARRAY['open'::text, 'active'::text, 'closed'::text]))),
    CONSTRAINT ticket_times_ordered CHECK (((opened_at <= modified_at) AND ((closed_at >= opened_at) AND (closed_at <= modified_at)))),
    CONSTRAINT ticket_waits_since_a_change CHECK (((waiting_since >= opened_at) AND (waiting_since <= modified_at)))
);

CREATE TABLE tickets.ticket_count (
    status text NOT NULL,
    shard integer NOT NULL,
    n bigint NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE tickets.ticket ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tickets.ticket_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tickets.ticket_signs (
    ticket_id bigint NOT NULL,
    signs bit(512) NOT NULL
);

CREATE TABLE tickets.ticket_text (
    ticket_id bigint NOT NULL,
    message_id bigint NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    words text NOT NULL
);

CREATE TABLE tickets.ticket_vector (
    ticket_id bigint NOT NULL,
    version integer NOT NULL,
    model text NOT NULL,
    embedding extensions.halfvec(512) NOT NULL
);

CREATE TABLE tickets.visible_word (
    ticket_id bigint NOT NULL,
    in_message boolean NOT NULL,
    text text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE tickets.word (
    text text NOT NULL COLLATE pg_catalog."C",
    uses integer NOT NULL
);

ALTER TABLE ONLY tickets.affected
    ADD CONSTRAINT affected_counted_once PRIMARY KEY (ticket_id, browser);

ALTER TABLE ONLY tickets.history
    ADD CONSTRAINT history_one_item_a_version PRIMARY KEY (ticket_id, version);

ALTER TABLE ONLY tickets.message
    ADD CONSTRAINT message_key PRIMARY KEY (id);

ALTER TABLE ONLY tickets.message
    ADD CONSTRAINT message_sent_once UNIQUE (idempotency_key);

ALTER TABLE ONLY tickets.outbox
    ADD CONSTRAINT outbox_key PRIMARY KEY (id);

ALTER TABLE ONLY tickets.relay
    ADD CONSTRAINT relay_key PRIMARY KEY (single);

ALTER TABLE ONLY tickets.reply
    ADD CONSTRAINT reply_key PRIMARY KEY (id);

ALTER TABLE ONLY tickets.ticket_count
    ADD CONSTRAINT ticket_count_key PRIMARY KEY (status, shard);

ALTER TABLE ONLY tickets.ticket
    ADD CONSTRAINT ticket_key PRIMARY KEY (id);

ALTER TABLE ONLY tickets.ticket
    ADD CONSTRAINT ticket_opened_once UNIQUE (idempotency_key);

ALTER TABLE ONLY tickets.ticket_signs
    ADD CONSTRAINT ticket_signs_key PRIMARY KEY (ticket_id);

ALTER TABLE ONLY tickets.ticket_text
    ADD CONSTRAINT ticket_text_key PRIMARY KEY (ticket_id, message_id);

ALTER TABLE ONLY tickets.ticket_vector
    ADD CONSTRAINT ticket_vector_key PRIMARY KEY (ticket_id);

ALTER TABLE ONLY tickets.visible_word
    ADD CONSTRAINT visible_word_key PRIMARY KEY (text, ticket_id, in_message);

ALTER TABLE ONLY tickets.word
    ADD CONSTRAINT word_key PRIMARY KEY (text);

CREATE INDEX message_thread ON tickets.message USING btree (ticket_id, id);

CREATE INDEX outbox_next ON tickets.outbox USING btree (refusals, id);

CREATE UNIQUE INDEX reply_title_once ON tickets.reply USING btree (lower(title));

CREATE INDEX ticket_by_affected ON tickets.ticket USING btree (status, COALESCE(category, 'none'::text), affected, id);

CREATE INDEX ticket_by_change ON tickets.ticket USING btree (status, COALESCE(category, 'none'::text), modified_at, id);

CREATE INDEX ticket_by_opening ON tickets.ticket USING btree (status, COALESCE(category, 'none'::text), opened_at, id);

CREATE INDEX ticket_by_waiting ON tickets.ticket USING btree (status, COALESCE(category, 'none'::text), COALESCE(waiting_since, 'infinity'::timestamp with time zone), id);

CREATE INDEX ticket_duplicates ON tickets.ticket USING btree (duplicate_of) WHERE (duplicate_of IS NOT NULL);

CREATE INDEX ticket_similar ON tickets.ticket USING gist ("left"(description, 2000) extensions.gist_trgm_ops (siglen='256')) WHERE (status <> 'closed'::text);

CREATE INDEX ticket_text_words ON tickets.ticket_text USING gin (string_to_array(words, ' '::text)) WITH (gin_pending_list_limit='256');

CREATE INDEX ticket_unclosed ON tickets.ticket USING btree (id) WHERE (status <> 'closed'::text);

CREATE INDEX word_parts ON tickets.word USING gin (text extensions.gin_trgm_ops) WITH (gin_pending_list_limit='256');

CREATE TRIGGER message_words_kept AFTER INSERT ON tickets.message FOR EACH ROW EXECUTE FUNCTION tickets.keep_message_words();

CREATE TRIGGER ticket_closed AFTER UPDATE OF status ON tickets.ticket FOR EACH ROW WHEN ((new.status = 'closed'::text)) EXECUTE FUNCTION tickets.forget_vector();

CREATE TRIGGER ticket_counted AFTER INSERT OR UPDATE OF status ON tickets.ticket FOR EACH ROW EXECUTE FUNCTION tickets.count_ticket();

CREATE TRIGGER ticket_words_hidden AFTER UPDATE OF status ON tickets.ticket FOR EACH ROW WHEN ((new.status = 'closed'::text)) EXECUTE FUNCTION tickets.hide_words();

CREATE TRIGGER ticket_words_kept AFTER INSERT OR UPDATE OF description, opened_at ON tickets.ticket FOR EACH ROW EXECUTE FUNCTION tickets.keep_description_words();

ALTER TABLE ONLY tickets.affected
    ADD CONSTRAINT affected_of_ticket FOREIGN KEY (ticket_id) REFERENCES tickets.ticket(id);

ALTER TABLE ONLY tickets.history
    ADD CONSTRAINT history_of_ticket FOREIGN KEY (ticket_id) REFERENCES tickets.ticket(id);

ALTER TABLE ONLY tickets.message
    ADD CONSTRAINT message_of_ticket FOREIGN KEY (ticket_id) REFERENCES tickets.ticket(id);

ALTER TABLE ONLY tickets.ticket
    ADD CONSTRAINT ticket_duplicate_of_ticket FOREIGN KEY (duplicate_of) REFERENCES tickets.ticket(id);

ALTER TABLE ONLY tickets.ticket_signs
    ADD CONSTRAINT ticket_signs_of_vector FOREIGN KEY (ticket_id) REFERENCES tickets.ticket_vector(ticket_id) ON DELETE CASCADE;

ALTER TABLE ONLY tickets.ticket_text
    ADD CONSTRAINT ticket_text_of_ticket FOREIGN KEY (ticket_id) REFERENCES tickets.ticket(id);

ALTER TABLE ONLY tickets.ticket_vector
    ADD CONSTRAINT ticket_vector_of_ticket FOREIGN KEY (ticket_id) REFERENCES tickets.ticket(id);
