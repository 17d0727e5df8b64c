-- Core schema: who, what, what happened, what was said, what came of it, and the models in between.
-- Hot append-only tables carry no foreign keys: the server maps ids in the same transaction, and a key check per
-- row costs a third of the ingest rate.

CREATE TABLE server (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT server_singleton CHECK (singleton),
    epoch text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE server IS 'One row: facts about this database as a whole.';
COMMENT ON COLUMN server.singleton IS 'Always true: keeps it at one row.';
COMMENT ON COLUMN server.epoch IS 'Incarnation of all user streams; changes when a database is restored or recreated.';
COMMENT ON COLUMN server.created_at IS 'When this database was first migrated.';
INSERT INTO server (epoch) VALUES (substr(md5(random()::text || clock_timestamp()::text), 1, 12));

CREATE TABLE users (
    user_id integer GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0) PRIMARY KEY,
    external_id text NOT NULL,
    is_robot boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_external_id_unique UNIQUE (external_id),
    CONSTRAINT users_external_id_length CHECK (octet_length(external_id) BETWEEN 1 AND 128)
);
COMMENT ON TABLE users IS 'Everyone an event or a login has named.';
COMMENT ON COLUMN users.user_id IS 'Dense inner id, from 0; never leaves the server.';
COMMENT ON COLUMN users.external_id IS 'The shop''s id in its text form; integers in canonical decimal.';
COMMENT ON COLUMN users.is_robot IS 'Flagged by the cleaning step: events are kept but neither learned from nor answered.';
COMMENT ON COLUMN users.created_at IS 'When the id was first seen.';

CREATE TABLE user_preferences (
    user_id integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    time_zone text,
    locale text,
    quiet_from_minute smallint,
    quiet_to_minute smallint,
    muted text[] NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_preferences_quiet_from CHECK (quiet_from_minute BETWEEN 0 AND 1439),
    CONSTRAINT user_preferences_quiet_to CHECK (quiet_to_minute BETWEEN 0 AND 1439),
    CONSTRAINT user_preferences_quiet_both CHECK ((quiet_from_minute IS NULL) = (quiet_to_minute IS NULL))
);
COMMENT ON TABLE user_preferences IS 'What a user asked of us; a missing row or value means the server''s default.';
COMMENT ON COLUMN user_preferences.user_id IS 'Whose.';
COMMENT ON COLUMN user_preferences.time_zone IS 'IANA name, e.g. Europe/Berlin.';
COMMENT ON COLUMN user_preferences.locale IS 'BCP 47 tag, e.g. de-AT.';
COMMENT ON COLUMN user_preferences.quiet_from_minute IS 'Quiet hours begin, minutes after local midnight.';
COMMENT ON COLUMN user_preferences.quiet_to_minute IS 'Quiet hours end, minutes after local midnight; less than the beginning = across midnight; equal = none.';
COMMENT ON COLUMN user_preferences.muted IS 'Notification categories the user has muted.';
COMMENT ON COLUMN user_preferences.updated_at IS 'Last change.';

CREATE TABLE items (
    item_id integer GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0) PRIMARY KEY,
    external_id text NOT NULL,
    title text,
    category text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    price double precision,
    currency text,
    stock integer,
    url text,
    image_url text,
    attributes jsonb NOT NULL DEFAULT '{}',
    consumable boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT items_external_id_unique UNIQUE (external_id),
    CONSTRAINT items_external_id_length CHECK (octet_length(external_id) BETWEEN 1 AND 128),
    CONSTRAINT items_price_range CHECK (price >= 0),
    CONSTRAINT items_stock_range CHECK (stock >= 0)
);
COMMENT ON TABLE items IS 'The catalogue, and every item that an event has named before the catalogue did.';
COMMENT ON COLUMN items.item_id IS 'Dense inner id, from 0; never leaves the server.';
COMMENT ON COLUMN items.external_id IS 'The shop''s id in its text form; integers in canonical decimal.';
COMMENT ON COLUMN items.title IS 'Human title; null until the catalogue says one.';
COMMENT ON COLUMN items.category IS 'Path from general to special.';
COMMENT ON COLUMN items.tags IS 'Free tags.';
COMMENT ON COLUMN items.price IS 'Price in major units of currency.';
COMMENT ON COLUMN items.currency IS 'ISO 4217 code.';
COMMENT ON COLUMN items.stock IS 'Units on hand; null = not tracked.';
COMMENT ON COLUMN items.url IS 'Product page.';
COMMENT ON COLUMN items.image_url IS 'Picture.';
COMMENT ON COLUMN items.attributes IS 'Anything else, text by name.';
COMMENT ON COLUMN items.consumable IS 'Bought again and again: a purchase does not hide it.';
COMMENT ON COLUMN items.active IS 'False once deleted from the catalogue: never recommended.';
COMMENT ON COLUMN items.created_at IS 'When the id was first seen.';
COMMENT ON COLUMN items.updated_at IS 'Last change by the shop.';

CREATE TABLE events (
    event_key uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    user_id integer,
    item_id integer,
    kind smallint NOT NULL,
    dwell_ms integer,
    quantity real NOT NULL DEFAULT 1,
    value double precision,
    currency text,
    basket bigint,
    query text,
    CONSTRAINT events_key_unique UNIQUE (event_key, occurred_at),
    CONSTRAINT events_kind_known CHECK (kind BETWEEN 1 AND 8)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_user_occurred ON events (user_id, occurred_at) WHERE user_id IS NOT NULL;
COMMENT ON TABLE events IS 'What users did, one row each, partitioned by month of occurred_at (partition events_YYYYMM, made on demand).';
COMMENT ON COLUMN events.event_key IS 'Unique per event: hash of the client''s event_id or of the imported row; otherwise random.';
COMMENT ON COLUMN events.occurred_at IS 'When it happened, by the client''s clock.';
COMMENT ON COLUMN events.received_at IS 'When the server took it.';
COMMENT ON COLUMN events.user_id IS 'Who; null for an anonymous basket.';
COMMENT ON COLUMN events.item_id IS 'About what; null for a search.';
COMMENT ON COLUMN events.kind IS '1 view, 2 search, 3 add_to_cart, 4 remove_from_cart, 5 purchase, 6 return, 7 like, 8 rate.';
COMMENT ON COLUMN events.dwell_ms IS 'View: how long the item was looked at, milliseconds.';
COMMENT ON COLUMN events.quantity IS 'Units, more than 0.';
COMMENT ON COLUMN events.value IS 'Purchase and return: money for all units; rate: stars 0 to 5.';
COMMENT ON COLUMN events.currency IS 'ISO 4217 code of value.';
COMMENT ON COLUMN events.basket IS 'Hash of the shop''s invoice, basket or session id.';
COMMENT ON COLUMN events.query IS 'Search: what was typed.';

-- Made beside the table and then attached: CREATE TABLE … PARTITION OF would lock out every reader and writer of
-- events, and queue them all behind a training that reads.
CREATE FUNCTION ensure_event_partition(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    next timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    name text := 'events_' || to_char(moment AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_event_partition'));
    -- By a query, for it sees what was committed while we waited; to_regclass answers from this session's cache.
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = current_schema()::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name, 'Events of one month (UTC).');
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
END $$;
COMMENT ON FUNCTION ensure_event_partition(timestamptz) IS 'Makes the monthly partition that holds a moment, unless it is there.';

CREATE TABLE event_receipts (
    event_key uuid PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE event_receipts IS 'Keys of events sent with an event_id: a retry finds its key here, whatever its occurred_at says. Pruned after the retry window.';
COMMENT ON COLUMN event_receipts.event_key IS 'As in events.';
COMMENT ON COLUMN event_receipts.received_at IS 'When the first of them was committed.';

CREATE TABLE models (
    model_version integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    parameters jsonb NOT NULL,
    metrics jsonb NOT NULL,
    gate jsonb NOT NULL,
    events bigint NOT NULL,
    took_ms integer NOT NULL,
    artefact bytea NOT NULL,
    activated_at timestamptz,
    CONSTRAINT models_state_known CHECK (state IN ('active', 'retired', 'rejected'))
);
CREATE UNIQUE INDEX models_one_active ON models (state) WHERE state = 'active';
COMMENT ON TABLE models IS 'Every model set ever trained, with what it was trained on and how good it was.';
COMMENT ON COLUMN models.model_version IS 'Counts up from 1.';
COMMENT ON COLUMN models.created_at IS 'When training ended.';
COMMENT ON COLUMN models.state IS 'active: serves (one row at most); retired: served before; rejected: the gate said no.';
COMMENT ON COLUMN models.parameters IS 'Hyper-parameters.';
COMMENT ON COLUMN models.metrics IS 'Hold-out metrics by name.';
COMMENT ON COLUMN models.gate IS 'What the evaluation gate compared, and its verdict.';
COMMENT ON COLUMN models.events IS 'Number of events trained on.';
COMMENT ON COLUMN models.took_ms IS 'Training and evaluation, wall clock.';
COMMENT ON COLUMN models.artefact IS 'The model set, versioned and checksummed.';
COMMENT ON COLUMN models.activated_at IS 'Last time it began to serve.';

CREATE TABLE user_features (
    user_id integer PRIMARY KEY,
    purchases_per_month double precision NOT NULL,
    browsing_minutes_per_month double precision NOT NULL,
    searches_per_month double precision NOT NULL,
    recency_days double precision,
    monetary double precision NOT NULL,
    segment smallint,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX user_features_segment ON user_features (segment);
COMMENT ON TABLE user_features IS 'Features of every user as of the last training.';
COMMENT ON COLUMN user_features.user_id IS 'Whose.';
COMMENT ON COLUMN user_features.purchases_per_month IS 'Purchases per month since first seen.';
COMMENT ON COLUMN user_features.browsing_minutes_per_month IS 'Minutes of dwell per month since first seen.';
COMMENT ON COLUMN user_features.searches_per_month IS 'Searches per month since first seen.';
COMMENT ON COLUMN user_features.recency_days IS 'Days since the last purchase; null = none.';
COMMENT ON COLUMN user_features.monetary IS 'Money spent, returns taken off, in the shop''s main currency.';
COMMENT ON COLUMN user_features.segment IS 'Segment of the active model, 0 = A.';
COMMENT ON COLUMN user_features.updated_at IS 'When computed.';

CREATE TABLE notifications (
    notification_id uuid PRIMARY KEY,
    user_id integer NOT NULL,
    stream_offset bigint NOT NULL,
    kind text NOT NULL,
    category text NOT NULL,
    trigger text NOT NULL,
    model_version integer NOT NULL,
    segment smallint,
    items integer[] NOT NULL,
    frame text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    CONSTRAINT notifications_offset_unique UNIQUE (user_id, stream_offset)
);
CREATE INDEX notifications_created ON notifications (created_at);
CREATE INDEX notifications_unacknowledged ON notifications (user_id, stream_offset) WHERE acknowledged_at IS NULL;
COMMENT ON TABLE notifications IS 'Every message put into a user''s stream, stored before it is sent.';
COMMENT ON COLUMN notifications.notification_id IS 'UUIDv7; the client''s key for showing it once.';
COMMENT ON COLUMN notifications.user_id IS 'To whom.';
COMMENT ON COLUMN notifications.stream_offset IS 'Position in the user''s stream, from 1.';
COMMENT ON COLUMN notifications.kind IS 'recommendation, announcement, …';
COMMENT ON COLUMN notifications.category IS 'What frequency caps and mutes go by.';
COMMENT ON COLUMN notifications.trigger IS 'What set it off: login, view, cart, retrain, …';
COMMENT ON COLUMN notifications.model_version IS 'Model that chose the items; 0 = none.';
COMMENT ON COLUMN notifications.segment IS 'The user''s segment at that moment, 0 = A.';
COMMENT ON COLUMN notifications.items IS 'Items recommended, best first.';
COMMENT ON COLUMN notifications.frame IS 'The JSON frame as sent.';
COMMENT ON COLUMN notifications.created_at IS 'When decided.';
COMMENT ON COLUMN notifications.expires_at IS 'Not delivered after this.';
COMMENT ON COLUMN notifications.acknowledged_at IS 'When a client acknowledged it; null = not yet.';

CREATE TABLE feedback (
    notification_id uuid NOT NULL,
    outcome smallint NOT NULL,
    user_id integer NOT NULL,
    item_id integer,
    value double precision,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (notification_id, outcome),
    CONSTRAINT feedback_outcome_known CHECK (outcome BETWEEN 1 AND 7)
);
CREATE INDEX feedback_user ON feedback (user_id, occurred_at);
COMMENT ON TABLE feedback IS 'What came of a notification, once per outcome.';
COMMENT ON COLUMN feedback.notification_id IS 'Of which message.';
COMMENT ON COLUMN feedback.outcome IS '1 displayed, 2 clicked, 3 dismissed, 4 converted, 5 muted, 6 liked, 7 disliked.';
COMMENT ON COLUMN feedback.user_id IS 'Whose.';
COMMENT ON COLUMN feedback.item_id IS 'The item clicked or bought.';
COMMENT ON COLUMN feedback.value IS 'Converted: money.';
COMMENT ON COLUMN feedback.occurred_at IS 'When.';

CREATE TABLE decisions (
    decision_id uuid PRIMARY KEY,
    decided_at timestamptz NOT NULL,
    user_id integer NOT NULL,
    trigger text NOT NULL,
    category text NOT NULL,
    outcome text NOT NULL,
    reasons text[] NOT NULL,
    notification_id uuid,
    model_version integer NOT NULL,
    segment smallint,
    items integer[] NOT NULL,
    propensity real NOT NULL,
    until timestamptz,
    CONSTRAINT decisions_outcome_known CHECK (outcome IN ('send', 'defer', 'drop')),
    CONSTRAINT decisions_propensity_range CHECK (propensity > 0 AND propensity <= 1)
);
CREATE INDEX decisions_decided ON decisions (decided_at);
CREATE INDEX decisions_user ON decisions (user_id, decided_at);
COMMENT ON TABLE decisions IS 'Every decision about a candidate message, sent or not, with its reasons.';
COMMENT ON COLUMN decisions.decision_id IS 'UUIDv7.';
COMMENT ON COLUMN decisions.decided_at IS 'When.';
COMMENT ON COLUMN decisions.user_id IS 'About whom.';
COMMENT ON COLUMN decisions.trigger IS 'What set it off.';
COMMENT ON COLUMN decisions.category IS 'Category of the candidate.';
COMMENT ON COLUMN decisions.outcome IS 'send, defer or drop.';
COMMENT ON COLUMN decisions.reasons IS 'Each policy step that spoke, in order.';
COMMENT ON COLUMN decisions.notification_id IS 'The message, when sent.';
COMMENT ON COLUMN decisions.model_version IS 'Model that chose the items; 0 = none.';
COMMENT ON COLUMN decisions.segment IS 'The user''s segment at that moment, 0 = A.';
COMMENT ON COLUMN decisions.items IS 'The candidate''s items, best first.';
COMMENT ON COLUMN decisions.propensity IS 'Probability with which the policy chose this outcome; 1 = deterministic.';
COMMENT ON COLUMN decisions.until IS 'Deferred until when.';

CREATE TABLE jobs (
    job_id uuid PRIMARY KEY,
    kind text NOT NULL,
    state text NOT NULL,
    stage text NOT NULL,
    progress real NOT NULL,
    message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT jobs_state_known CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled'))
);
COMMENT ON TABLE jobs IS 'Long work that an administrator or a schedule started.';
COMMENT ON COLUMN jobs.job_id IS 'UUIDv7.';
COMMENT ON COLUMN jobs.kind IS 'train, import, …';
COMMENT ON COLUMN jobs.state IS 'queued, running, succeeded, failed or cancelled.';
COMMENT ON COLUMN jobs.stage IS 'What it is doing.';
COMMENT ON COLUMN jobs.progress IS 'Share done, 0 to 1.';
COMMENT ON COLUMN jobs.message IS 'What came of it.';
COMMENT ON COLUMN jobs.created_at IS 'When asked for.';
COMMENT ON COLUMN jobs.finished_at IS 'When it ended.';

CREATE TABLE cleaning_reports (
    report_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    rows_read bigint NOT NULL,
    rows_kept bigint NOT NULL,
    steps jsonb NOT NULL
);
COMMENT ON TABLE cleaning_reports IS 'What each import read, changed and refused.';
COMMENT ON COLUMN cleaning_reports.report_id IS 'Counts up.';
COMMENT ON COLUMN cleaning_reports.source IS 'Format and file name.';
COMMENT ON COLUMN cleaning_reports.created_at IS 'When.';
COMMENT ON COLUMN cleaning_reports.rows_read IS 'Rows in the files.';
COMMENT ON COLUMN cleaning_reports.rows_kept IS 'Events newly stored.';
COMMENT ON COLUMN cleaning_reports.steps IS 'Array of {step, description, dropped, changed} in order.';
