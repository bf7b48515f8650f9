-- The read model as the migrations leave it; a test holds both equal. Only for reading.
--
-- It exists up to twice: `projection` says which generation is read, the other is empty or being
-- built. A scope is 'all', a category, or 'none' for tickets without one; every rollup is kept for
-- each scope, so that a report on one of them costs what a report on all costs.

-- One row: the generation that is read, and the time zone whose days and months its rollups hold.
-- Without it nothing was built yet.
CREATE TABLE projection (
    single boolean DEFAULT true CONSTRAINT projection_key PRIMARY KEY
        CONSTRAINT projection_has_one_row CHECK (single),
    generation smallint NOT NULL
        CONSTRAINT projection_generation_known CHECK (generation IN (0, 1)),
    timezone text NOT NULL,
    built_at timestamptz NOT NULL
);

-- One row: who writes locks it.
CREATE TABLE writer (
    single boolean DEFAULT true CONSTRAINT writer_key PRIMARY KEY
        CONSTRAINT writer_has_one_row CHECK (single)
);

-- The state last seen of each ticket, to tell what an event changes. Only a ticket that is not
-- closed has a title: the oldest of them are shown.
CREATE TABLE ticket_state (
    generation smallint NOT NULL,
    id bigint NOT NULL,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_day date NOT NULL,
    closed_at timestamptz,
    status text NOT NULL
        CONSTRAINT ticket_state_status_known CHECK (status IN ('open', 'active', 'closed')),
    category text NOT NULL
        CONSTRAINT ticket_state_category_known CHECK (
            category IN ('facility_management', 'technical_it', 'services_complaints',
                         'none')
        ),
    title text,
    CONSTRAINT ticket_state_key PRIMARY KEY (generation, id),
    CONSTRAINT ticket_state_closed_has_instant
        CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT ticket_state_closed_has_no_title
        CHECK ((status = 'closed') = (title IS NULL))
) PARTITION BY LIST (generation);
CREATE TABLE ticket_state_0 PARTITION OF ticket_state FOR VALUES IN (0);
CREATE TABLE ticket_state_1 PARTITION OF ticket_state FOR VALUES IN (1);
CREATE INDEX ticket_state_by_opening ON ticket_state (opened_at);
-- For the oldest ones; few tickets are in it.
CREATE INDEX ticket_state_unclosed ON ticket_state (category, status, opened_at, id)
    WHERE status <> 'closed';

-- Rollups. A row that comes to zero may stay.
CREATE TABLE opened_quarter (
    generation smallint NOT NULL,
    scope text NOT NULL,
    start timestamptz NOT NULL,
    opened bigint NOT NULL CONSTRAINT opened_quarter_opened_counts CHECK (opened >= 0),
    open bigint NOT NULL CONSTRAINT opened_quarter_open_counts CHECK (open >= 0),
    active bigint NOT NULL CONSTRAINT opened_quarter_active_counts CHECK (active >= 0),
    CONSTRAINT opened_quarter_key PRIMARY KEY (generation, scope, start)
);

CREATE TABLE opened_day (
    generation smallint NOT NULL,
    scope text NOT NULL,
    day date NOT NULL,
    opened bigint NOT NULL CONSTRAINT opened_day_opened_counts CHECK (opened >= 0),
    open bigint NOT NULL CONSTRAINT opened_day_open_counts CHECK (open >= 0),
    active bigint NOT NULL CONSTRAINT opened_day_active_counts CHECK (active >= 0),
    CONSTRAINT opened_day_key PRIMARY KEY (generation, scope, day)
);

CREATE TABLE opened_month (
    generation smallint NOT NULL,
    scope text NOT NULL,
    month date NOT NULL,
    opened bigint NOT NULL CONSTRAINT opened_month_opened_counts CHECK (opened >= 0),
    open bigint NOT NULL CONSTRAINT opened_month_open_counts CHECK (open >= 0),
    active bigint NOT NULL CONSTRAINT opened_month_active_counts CHECK (active >= 0),
    closed_microseconds numeric(30, 0) NOT NULL,
    -- Which bucket of `resolution_bucket` holds the median; null while none is closed.
    median_bucket smallint,
    CONSTRAINT opened_month_key PRIMARY KEY (generation, scope, month)
);

-- How long the closed tickets of a month took, as a histogram whose buckets grow by a factor.
CREATE TABLE resolution_bucket (
    generation smallint NOT NULL,
    scope text NOT NULL,
    month date NOT NULL,
    bucket smallint NOT NULL,
    closed bigint NOT NULL CONSTRAINT resolution_bucket_closed_counts CHECK (closed >= 0),
    CONSTRAINT resolution_bucket_key PRIMARY KEY (generation, scope, month, bucket)
);

-- States that came while the other generation is being built, which has to take them in too.
CREATE TABLE rebuild_journal (
    id bigint NOT NULL,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_day date NOT NULL,
    closed_at timestamptz,
    status text NOT NULL,
    category text NOT NULL,
    title text
);
