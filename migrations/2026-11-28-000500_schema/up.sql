-- The whole schema, in nine parts. Hot append-only tables carry no foreign keys: the server maps ids in the same transaction,
-- and a key check per row costs a third of the ingest rate.

-- ## The database itself

CREATE TABLE server (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT server_singleton CHECK (singleton),
    epoch text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    holder uuid,
    held_since timestamptz
);
COMMENT ON TABLE server IS 'One row: facts about this database as a whole.';
COMMENT ON COLUMN server.singleton IS 'Always true: keeps it at one row.';
COMMENT ON COLUMN server.epoch IS 'Incarnation of all user streams; changes when a database is restored or recreated.';
COMMENT ON COLUMN server.created_at IS 'When this database was first migrated.';
COMMENT ON COLUMN server.holder IS 'The server process that decides; its own random number. Null = none has so far.';
COMMENT ON COLUMN server.held_since IS 'When it began.';
INSERT INTO server (epoch) VALUES (substr(md5(random()::text || clock_timestamp()::text), 1, 12));

-- ## Users, their preferences and what they agreed to

CREATE TABLE users (
    user_id integer GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0) PRIMARY KEY,
    external_id text NOT NULL,
    is_robot boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_connected_at timestamptz,
    CONSTRAINT users_external_id_unique UNIQUE (external_id),
    CONSTRAINT users_external_id_length CHECK (octet_length(external_id) BETWEEN 1 AND 128)
);
COMMENT ON TABLE users IS 'Everyone an event or a login has named.';
COMMENT ON COLUMN users.user_id IS 'Dense inner id, from 0; never leaves the server.';
COMMENT ON COLUMN users.external_id IS 'The shop''s id in its text form; integers in canonical decimal.';
COMMENT ON COLUMN users.is_robot IS 'Flagged by the cleaning step: events are kept but neither learned from nor answered.';
COMMENT ON COLUMN users.created_at IS 'When the id was first seen.';
COMMENT ON COLUMN users.last_connected_at IS 'When a connection of the user was last known to be open, to the hour; null = never.';

CREATE TABLE user_preferences (
    user_id integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    time_zone text,
    locale text,
    quiet_from_minute smallint,
    quiet_to_minute smallint,
    muted text[] NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now(),
    settings jsonb NOT NULL DEFAULT '{}',
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
COMMENT ON COLUMN user_preferences.settings IS
    'Object of opted_out, paused_until, digest, blocked_channels, mutes; what is absent is off.';

-- A row of preferences says only that its user has opted out, and when anything in it last changed.
CREATE TABLE opt_outs (
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    opted_out_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, opted_out_at)
);
COMMENT ON TABLE opt_outs IS 'Each time a user opted out of everything in their preferences. Rows are added, never changed.';
COMMENT ON COLUMN opt_outs.user_id IS 'Who.';
COMMENT ON COLUMN opt_outs.opted_out_at IS 'When.';

CREATE TABLE consents (
    consent_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose text NOT NULL,
    granted boolean NOT NULL,
    source text NOT NULL,
    text_version text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT consents_purpose_known CHECK (purpose IN ('profiling', 'marketing', 'push'))
);
CREATE INDEX consents_user ON consents (user_id, purpose, consent_id);
COMMENT ON TABLE consents IS 'What users agreed to and took back. A ledger: rows are added, never changed; the latest of a purpose holds.';
COMMENT ON COLUMN consents.consent_id IS 'Counts up.';
COMMENT ON COLUMN consents.user_id IS 'Who.';
COMMENT ON COLUMN consents.purpose IS 'profiling, marketing or push.';
COMMENT ON COLUMN consents.granted IS 'Given (true) or refused or taken back (false).';
COMMENT ON COLUMN consents.source IS 'Where it was said, e.g. sign-up form, preference page, shop backend.';
COMMENT ON COLUMN consents.text_version IS 'Which wording the user saw.';
COMMENT ON COLUMN consents.recorded_at IS 'When.';

CREATE FUNCTION refuse_consent_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'consents is a ledger: add a row instead of changing one';
END $$;
COMMENT ON FUNCTION refuse_consent_update() IS 'Keeps consents append-only; erasing a user deletes rows, nothing changes them.';
CREATE TRIGGER consents_append_only BEFORE UPDATE ON consents FOR EACH ROW EXECUTE FUNCTION refuse_consent_update();

-- ## Catalogue

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

-- A reduction is compared with the lowest price of the 30 days before it, and with the price at which somebody looked.
CREATE TABLE item_prices (
    item_id integer NOT NULL REFERENCES items ON DELETE CASCADE,
    at timestamptz NOT NULL,
    price double precision NOT NULL,
    currency text,
    CONSTRAINT item_prices_pkey PRIMARY KEY (item_id, at),
    CONSTRAINT item_prices_range CHECK (price >= 0)
);
COMMENT ON TABLE item_prices IS 'Prices of items, a row each time one changes. What ended more than 60 days before the latest change is pruned with it.';
COMMENT ON COLUMN item_prices.item_id IS 'Of what.';
COMMENT ON COLUMN item_prices.at IS 'Since when.';
COMMENT ON COLUMN item_prices.price IS 'Major units of currency.';
COMMENT ON COLUMN item_prices.currency IS 'ISO 4217 code; null = the shop names none.';

-- ## Events

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
-- What came since a training is read again after a start. A few bytes a megabyte of events, next to nothing to keep.
CREATE INDEX events_received ON events USING brin (received_at) WITH (pages_per_range = 32);
-- Readings of outcomes and experiments go through purchases and returns by time: a few in a hundred events.
CREATE INDEX events_traded ON events (occurred_at, user_id) WHERE kind IN (5, 6);
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

-- ## Models, and what is learned between trainings

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

CREATE TABLE association_rules (
    model_version integer NOT NULL REFERENCES models ON DELETE CASCADE,
    place integer NOT NULL,
    antecedent integer[] NOT NULL,
    consequent integer[] NOT NULL,
    count integer NOT NULL,
    support double precision NOT NULL,
    confidence double precision NOT NULL,
    lift double precision NOT NULL,
    PRIMARY KEY (model_version, place),
    CONSTRAINT association_rules_sides CHECK (cardinality(antecedent) > 0 AND cardinality(consequent) > 0),
    CONSTRAINT association_rules_shares CHECK (support BETWEEN 0 AND 1 AND confidence BETWEEN 0 AND 1)
);
COMMENT ON TABLE association_rules IS 'Rules "baskets with these items hold those too", of each model version; they go with it.';
COMMENT ON COLUMN association_rules.model_version IS 'Of which model.';
COMMENT ON COLUMN association_rules.place IS 'From 0, by lift, the greatest first.';
COMMENT ON COLUMN association_rules.antecedent IS 'If: items, by inner id.';
COMMENT ON COLUMN association_rules.consequent IS 'Then: items, by inner id.';
COMMENT ON COLUMN association_rules.count IS 'Baskets with all of both.';
COMMENT ON COLUMN association_rules.support IS 'Share of all baskets with all of both, 0 to 1.';
COMMENT ON COLUMN association_rules.confidence IS 'Share of the antecedent''s baskets that hold the consequent, 0 to 1.';
COMMENT ON COLUMN association_rules.lift IS 'How many times more often than by chance; 1 = chance.';

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

CREATE TABLE learner (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    version integer NOT NULL,
    learned jsonb NOT NULL,
    saved_at timestamptz NOT NULL
);
COMMENT ON TABLE learner IS 'What was learned about when, how much and in which words to write.';
COMMENT ON COLUMN learner.id IS 'Always true: there is one row.';
COMMENT ON COLUMN learner.version IS 'Of the format; another one is not read.';
COMMENT ON COLUMN learner.learned IS 'As the server had it.';
COMMENT ON COLUMN learner.saved_at IS 'When.';

-- ## Decisions and messages

-- A version that activates or pauses an older body says which; a draft lies beside the version in force.
CREATE TABLE definitions (
    definition_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    body jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    repeats integer,
    CONSTRAINT definitions_version_unique UNIQUE (kind, name, version),
    CONSTRAINT definitions_kind_known CHECK (kind IN ('trigger', 'template', 'policy', 'experiment')),
    CONSTRAINT definitions_state_known CHECK (state IN ('draft', 'active', 'paused')),
    CONSTRAINT definitions_repeats_older CHECK (repeats >= 0 AND repeats < version)
);
COMMENT ON TABLE definitions IS 'Triggers, templates, policies and experiments: a row for every change. The latest version of a name that is no draft is in force; a name without one is as the server ships it.';
COMMENT ON COLUMN definitions.definition_id IS 'Counts up.';
COMMENT ON COLUMN definitions.kind IS 'trigger, template, policy or experiment.';
COMMENT ON COLUMN definitions.name IS 'Unique within its kind.';
COMMENT ON COLUMN definitions.version IS 'Counts up from 1 for each name.';
COMMENT ON COLUMN definitions.state IS 'draft: not used yet; active: used; paused: switched off, also if it ships with the server.';
COMMENT ON COLUMN definitions.body IS 'The definition, valid when it was stored.';
COMMENT ON COLUMN definitions.changed_at IS 'When.';
COMMENT ON COLUMN definitions.changed_by IS 'Who: the user of the token, or admin.';
COMMENT ON COLUMN definitions.repeats IS 'The version whose body this one activates or pauses, 0 = the one that ships with the server; null = a body of its own.';

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
    p_click real CONSTRAINT decisions_p_click_range CHECK (p_click BETWEEN 0 AND 1),
    p_purchase real CONSTRAINT decisions_p_purchase_range CHECK (p_purchase BETWEEN 0 AND 1),
    p_mute real CONSTRAINT decisions_p_mute_range CHECK (p_mute BETWEEN 0 AND 1),
    features real[],
    channel text NOT NULL DEFAULT 'socket',
    campaign text NOT NULL DEFAULT '',
    dedupe_key bigint,
    policy_version integer NOT NULL DEFAULT 0,
    holdout boolean NOT NULL DEFAULT false,
    counted boolean NOT NULL DEFAULT true,
    alternatives text[] NOT NULL DEFAULT '{}',
    steps jsonb NOT NULL DEFAULT '[]',
    slice text NOT NULL DEFAULT 'ordinary',
    variant text,
    arms jsonb NOT NULL DEFAULT '{}',
    variant_propensity real,
    inputs jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT decisions_outcome_known CHECK (outcome IN ('send', 'defer', 'digest', 'inbox_only', 'drop')),
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
COMMENT ON COLUMN decisions.outcome IS 'send, defer, digest, inbox_only or drop.';
COMMENT ON COLUMN decisions.reasons IS 'Each policy step that spoke, in order.';
COMMENT ON COLUMN decisions.notification_id IS 'The message, when sent.';
COMMENT ON COLUMN decisions.model_version IS 'Model that chose the items; 0 = none.';
COMMENT ON COLUMN decisions.segment IS 'The user''s segment at that moment, 0 = A.';
COMMENT ON COLUMN decisions.items IS 'The candidate''s items, best first.';
COMMENT ON COLUMN decisions.propensity IS 'Probability of the outcome: of the coin in the random slice, of the hour where it decided; 1 = nothing was left to chance.';
COMMENT ON COLUMN decisions.until IS 'Deferred until when.';
COMMENT ON COLUMN decisions.p_click IS 'Probability of a click, as of the decision; null for decisions of older releases.';
COMMENT ON COLUMN decisions.p_purchase IS 'Probability that an item of it is bought within the attribution window; null as above.';
COMMENT ON COLUMN decisions.p_mute IS 'Probability that the user mutes its category; null as above.';
COMMENT ON COLUMN decisions.features IS 'The numbers these probabilities were made from, which training learns from; null unless sent.';
COMMENT ON COLUMN decisions.channel IS 'The way it took or would have taken: socket, push or inbox.';
COMMENT ON COLUMN decisions.campaign IS 'Name of the trigger or campaign; the narrowest scope of a frequency cap.';
COMMENT ON COLUMN decisions.dedupe_key IS 'Hash that names the occasion; one message for each.';
COMMENT ON COLUMN decisions.policy_version IS 'Which version of the policy decided; 0 = the configuration.';
COMMENT ON COLUMN decisions.holdout IS 'Nothing was sent because the user is held out, whatever the policy said.';
COMMENT ON COLUMN decisions.counted IS 'Does its message count towards frequency caps? Not when asked for or transactional.';
COMMENT ON COLUMN decisions.alternatives IS 'What could have been chosen instead, the chosen one first.';
COMMENT ON COLUMN decisions.steps IS 'Array of {step, verdict, reason, text} in order: each step that was asked.';
COMMENT ON COLUMN decisions.slice IS 'What held for the user: ordinary, holdout or random.';
COMMENT ON COLUMN decisions.variant IS 'The wording that was used; null where the template has one.';
COMMENT ON COLUMN decisions.arms IS 'Of the running experiments: name to arm.';
COMMENT ON COLUMN decisions.variant_propensity IS 'Probability of the wording among those on offer; null where there was nothing to choose, and before this column.';
COMMENT ON COLUMN decisions.inputs IS 'Versions of the definitions, the catalogue and what was learned that the decision read, and the seed of its random draws; {} before this column.';
-- Nothing is searched for by these, and they are the widest: sampling them took most of the time of each automatic ANALYZE,
-- beside commits that somebody waits for.
ALTER TABLE decisions
    ALTER COLUMN reasons SET STATISTICS 0,
    ALTER COLUMN items SET STATISTICS 0,
    ALTER COLUMN features SET STATISTICS 0,
    ALTER COLUMN alternatives SET STATISTICS 0,
    ALTER COLUMN steps SET STATISTICS 0,
    ALTER COLUMN arms SET STATISTICS 0;

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
    collapse_key text,
    priority smallint NOT NULL DEFAULT 1 CONSTRAINT notifications_priority_range CHECK (priority BETWEEN 0 AND 3),
    seen_at timestamptz,
    read_at timestamptz,
    withdrawn_at timestamptz,
    withdrawn_reason text CONSTRAINT notifications_reason_known CHECK (withdrawn_reason IN ('superseded', 'withdrawn')),
    channel smallint NOT NULL DEFAULT 0 CONSTRAINT notifications_channel_known CHECK (channel BETWEEN 0 AND 2),
    given_at timestamptz,
    CONSTRAINT notifications_offset_unique UNIQUE (user_id, stream_offset)
);
CREATE INDEX notifications_created ON notifications (created_at);
CREATE INDEX notifications_collapse ON notifications (user_id, collapse_key) WHERE collapse_key IS NOT NULL AND withdrawn_at IS NULL;
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
COMMENT ON COLUMN notifications.collapse_key IS 'A newer message of the user with the same key supersedes this one.';
COMMENT ON COLUMN notifications.priority IS '0 low, 1 normal, 2 high, 3 transactional.';
COMMENT ON COLUMN notifications.seen_at IS 'When a list with it was looked at; null = not yet.';
COMMENT ON COLUMN notifications.read_at IS 'When it was opened, clicked or marked as read; null = not yet.';
COMMENT ON COLUMN notifications.withdrawn_at IS 'Since when it is no longer shown or replayed; null = it is.';
COMMENT ON COLUMN notifications.withdrawn_reason IS 'superseded (collapse_key) or withdrawn (by the shop).';
COMMENT ON COLUMN notifications.channel IS '0 = a page that somebody looks at, 1 = Web Push, 2 = the inbox. 0 becomes 1 once, when the page closed without acknowledging.';
COMMENT ON COLUMN notifications.given_at IS 'When a page that somebody looks at was given it, or a push service took it; null = nobody.';
-- As of decisions: never searched for, and wide.
ALTER TABLE notifications
    ALTER COLUMN items SET STATISTICS 0,
    ALTER COLUMN frame SET STATISTICS 0;

-- One narrow row a user: a client acknowledges its stream up to a place.
CREATE TABLE acknowledgements (
    user_id integer PRIMARY KEY,
    up_to bigint NOT NULL CHECK (up_to > 0),
    acknowledged_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE acknowledgements IS 'How far each user''s stream was received by a client of theirs.';
COMMENT ON COLUMN acknowledgements.user_id IS 'Whose stream.';
COMMENT ON COLUMN acknowledgements.up_to IS 'Up to and including this offset.';
COMMENT ON COLUMN acknowledgements.acknowledged_at IS 'When the last acknowledgement came.';

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

CREATE TABLE held_messages (
    held_id uuid PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    trigger text NOT NULL,
    category text NOT NULL,
    item_id integer,
    price_before double precision,
    event jsonb,
    for_digest boolean NOT NULL,
    until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    call_id uuid
);
CREATE INDEX held_messages_user ON held_messages (user_id, until);
CREATE INDEX held_messages_expires ON held_messages (expires_at);
-- What is due is found without a user: those who are away and can be pushed to are woken for it.
CREATE INDEX held_messages_due ON held_messages (until, held_id);
CREATE INDEX held_messages_call ON held_messages (call_id) WHERE call_id IS NOT NULL;
COMMENT ON TABLE held_messages IS 'What set a message off that waits: until quiet hours end, a cart was left long enough, or for the digest. Judged again when let go.';
COMMENT ON COLUMN held_messages.held_id IS 'UUIDv7.';
COMMENT ON COLUMN held_messages.user_id IS 'For whom.';
COMMENT ON COLUMN held_messages.trigger IS 'Name of the trigger.';
COMMENT ON COLUMN held_messages.category IS 'Its category at that time.';
COMMENT ON COLUMN held_messages.item_id IS 'About what; null = nothing in particular.';
COMMENT ON COLUMN held_messages.price_before IS 'What the item cost before, where that set it off.';
COMMENT ON COLUMN held_messages.event IS 'What the shop said when it set the trigger off; null = nothing.';
COMMENT ON COLUMN held_messages.for_digest IS 'Collected for the digest, rather than told by itself.';
COMMENT ON COLUMN held_messages.until IS 'Judged again then, or when the user is next seen.';
COMMENT ON COLUMN held_messages.expires_at IS 'Not worth saying after this.';
COMMENT ON COLUMN held_messages.created_at IS 'When it was first held.';
COMMENT ON COLUMN held_messages.call_id IS 'The call of the shop that set it off, a broadcast; with the user it gives the notification_id. Of a message that a digest mentions: its notification_id. Null = nobody''s call.';

CREATE TABLE user_once (
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    trigger text NOT NULL,
    fired_at timestamptz NOT NULL,
    CONSTRAINT user_once_pkey PRIMARY KEY (user_id, trigger)
);
COMMENT ON TABLE user_once IS 'Triggers that have gone off for a user and do so once: of a segment once for good, of an absence once for each absence.';
COMMENT ON COLUMN user_once.user_id IS 'For whom.';
COMMENT ON COLUMN user_once.trigger IS 'Name of the trigger.';
COMMENT ON COLUMN user_once.fired_at IS 'When it last went off.';

-- ## Messages of the shop on their way into streams

CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch uuid NOT NULL,
    due_at timestamptz NOT NULL,
    users text[] NOT NULL,
    message text NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at, outbox_id);
COMMENT ON TABLE outbox IS 'Messages that were accepted and have no place in a stream yet. A row goes when each of its users has had its turn.';
COMMENT ON COLUMN outbox.outbox_id IS 'Order of acceptance.';
COMMENT ON COLUMN outbox.batch IS 'UUIDv7; with the user it gives the notification_id, so that a second try can''t become a second message.';
COMMENT ON COLUMN outbox.due_at IS 'Not before this.';
COMMENT ON COLUMN outbox.users IS 'External ids, at most 1,000.';
COMMENT ON COLUMN outbox.message IS 'JSON: kind, category, priority, title, body and so on, the same for each user of the row.';

CREATE TABLE notification_receipts (
    receipt uuid PRIMARY KEY,
    accepted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notification_receipts_accepted ON notification_receipts (accepted_at);
COMMENT ON TABLE notification_receipts IS 'Keys of accepted messages, so that a request that is repeated is accepted once; kept for 7 days.';
COMMENT ON COLUMN notification_receipts.receipt IS 'UUIDv8 of the Idempotency-Key and the place in the request, or of the dedupe_key and the audience.';
COMMENT ON COLUMN notification_receipts.accepted_at IS 'When the first was accepted.';

CREATE TABLE idempotency_keys (
    key_hash uuid PRIMARY KEY,
    fingerprint uuid NOT NULL,
    answer text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_accepted ON idempotency_keys (accepted_at);
COMMENT ON TABLE idempotency_keys IS 'Accepted requests by their Idempotency-Key, with the answer they got; kept for 7 days.';
COMMENT ON COLUMN idempotency_keys.key_hash IS 'UUIDv8 of the Idempotency-Key and what it is a key of.';
COMMENT ON COLUMN idempotency_keys.fingerprint IS 'UUIDv8 of the path and the body, as JSON in one order: another one under the same key is another request.';
COMMENT ON COLUMN idempotency_keys.answer IS 'JSON body of the answer.';
COMMENT ON COLUMN idempotency_keys.accepted_at IS 'When the first request was accepted.';

CREATE TABLE broadcasts (
    broadcast_id uuid PRIMARY KEY,
    call_id uuid NOT NULL,
    state text NOT NULL,
    audience jsonb NOT NULL,
    message text NOT NULL,
    users integer NOT NULL,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT broadcasts_state_known CHECK (state IN ('scheduled', 'sent', 'withdrawn', 'expired')),
    CONSTRAINT broadcasts_users_range CHECK (users >= 0)
);
CREATE INDEX broadcasts_scheduled ON broadcasts (due_at, broadcast_id) WHERE state = 'scheduled';
CREATE INDEX broadcasts_call ON broadcasts (call_id);
CREATE INDEX broadcasts_changed ON broadcasts (changed_at);
COMMENT ON TABLE broadcasts IS 'Messages to more than one user or with a send_at, one row a message, and calls that set triggers off; kept for 100 days after their time.';
COMMENT ON COLUMN broadcasts.broadcast_id IS 'UUIDv7; also the first batch of its messages.';
COMMENT ON COLUMN broadcasts.call_id IS 'The request it came with: the same as broadcast_id if it came alone.';
COMMENT ON COLUMN broadcasts.state IS 'scheduled: waits for due_at; sent: handed to the outbox; withdrawn: taken back; expired: its lifetime ended before it could be sent.';
COMMENT ON COLUMN broadcasts.audience IS 'Object with one of everyone (true), segment (a letter) and users (how many were named).';
COMMENT ON COLUMN broadcasts.message IS 'JSON as in outbox.message; of a trigger an object of trigger, item_id, price_before and event.';
COMMENT ON COLUMN broadcasts.users IS 'Users it was accepted for; of a segment or everyone 0 until it is sent.';
COMMENT ON COLUMN broadcasts.due_at IS 'Not before this.';
COMMENT ON COLUMN broadcasts.created_at IS 'When it was accepted.';
COMMENT ON COLUMN broadcasts.changed_at IS 'Last change of state, words or time.';

CREATE TABLE broadcast_batches (
    batch uuid PRIMARY KEY,
    broadcast_id uuid NOT NULL,
    CONSTRAINT broadcast_batches_broadcast FOREIGN KEY (broadcast_id) REFERENCES broadcasts ON DELETE CASCADE
);
CREATE INDEX broadcast_batches_broadcast_id ON broadcast_batches (broadcast_id);
COMMENT ON TABLE broadcast_batches IS 'Batches of the rows that a broadcast has or had in the outbox; none while a segment or everyone waits, whose users are read at due_at.';
COMMENT ON COLUMN broadcast_batches.batch IS 'As in outbox.batch; with a user it gives the notification_id.';
COMMENT ON COLUMN broadcast_batches.broadcast_id IS 'Of which broadcast.';

-- ## Web Push (RFC 8030)

CREATE TABLE push_keys (
    singleton boolean PRIMARY KEY DEFAULT true,
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT push_keys_one_row CHECK (singleton),
    CONSTRAINT push_keys_length CHECK (octet_length(private_key) = 32)
);
COMMENT ON TABLE push_keys IS 'The key the server identifies itself with to push services (RFC 8292); made at first start. A new one ends every subscription.';
COMMENT ON COLUMN push_keys.singleton IS 'Always true: one row.';
COMMENT ON COLUMN push_keys.private_key IS 'Secret: a private key of P-256, 32 bytes.';
COMMENT ON COLUMN push_keys.created_at IS 'When it was made.';

CREATE TABLE push_subscriptions (
    subscription_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    endpoint text NOT NULL,
    p256dh bytea NOT NULL,
    auth bytea NOT NULL,
    user_agent text,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_success_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    CONSTRAINT push_subscriptions_endpoint_unique UNIQUE (endpoint),
    CONSTRAINT push_subscriptions_endpoint_length CHECK (octet_length(endpoint) <= 2048),
    CONSTRAINT push_subscriptions_p256dh_length CHECK (octet_length(p256dh) = 65),
    CONSTRAINT push_subscriptions_auth_length CHECK (octet_length(auth) = 16)
);
CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id);
COMMENT ON TABLE push_subscriptions IS 'Browsers that agreed to be pushed to, as PushSubscription.toJSON() describes them.';
COMMENT ON COLUMN push_subscriptions.subscription_id IS 'Inner id.';
COMMENT ON COLUMN push_subscriptions.user_id IS 'Who is signed in there.';
COMMENT ON COLUMN push_subscriptions.endpoint IS 'Where to send. Whoever knows it can send: it is in no log line.';
COMMENT ON COLUMN push_subscriptions.p256dh IS 'The browser''s public key, an uncompressed point of P-256.';
COMMENT ON COLUMN push_subscriptions.auth IS 'The browser''s authentication secret (RFC 8291).';
COMMENT ON COLUMN push_subscriptions.user_agent IS 'What the browser called itself, for support.';
COMMENT ON COLUMN push_subscriptions.expires_at IS 'When the push service ends it; null = not told.';
COMMENT ON COLUMN push_subscriptions.created_at IS 'First handed in.';
COMMENT ON COLUMN push_subscriptions.last_success_at IS 'When the push service last took a message for it.';
COMMENT ON COLUMN push_subscriptions.failures IS 'Attempts that failed since then.';

CREATE TABLE push_outbox (
    notification_id uuid NOT NULL REFERENCES notifications ON DELETE CASCADE,
    subscription_id bigint NOT NULL REFERENCES push_subscriptions ON DELETE CASCADE,
    user_id integer NOT NULL,
    expires_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    claimed_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (notification_id, subscription_id)
);
CREATE INDEX push_outbox_due ON push_outbox (due_at);
CREATE INDEX push_outbox_subscription ON push_outbox (subscription_id);
COMMENT ON TABLE push_outbox IS 'Messages on their way to push services; a row goes when its message was taken, refused or expired.';
COMMENT ON COLUMN push_outbox.notification_id IS 'Which message.';
COMMENT ON COLUMN push_outbox.subscription_id IS 'To which browser.';
COMMENT ON COLUMN push_outbox.user_id IS 'To whom: a browser that another user takes over gets no message of the first.';
COMMENT ON COLUMN push_outbox.expires_at IS 'Not sent after this.';
COMMENT ON COLUMN push_outbox.due_at IS 'Not sent before this.';
COMMENT ON COLUMN push_outbox.claimed_until IS 'A sender has it until then; null = nobody. One that dies loses its claim.';
COMMENT ON COLUMN push_outbox.attempts IS 'How often it was claimed.';

-- ## Long work

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
