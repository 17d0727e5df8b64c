-- A partition a year instead of one a month, and one for all of the time before 2025: the cost of an event must not depend on how
-- many months the events beside it span. Existing events are copied over, about a second for 300,000 of them.

ALTER TABLE events RENAME TO events_by_month;
ALTER TABLE events_by_month RENAME CONSTRAINT events_key_unique TO events_by_month_key_unique;
ALTER INDEX events_user_occurred RENAME TO events_by_month_user_occurred;
ALTER INDEX events_received RENAME TO events_by_month_received;
ALTER INDEX events_traded RENAME TO events_by_month_traded;

CREATE TABLE events (LIKE events_by_month INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)
    PARTITION BY RANGE (occurred_at);
COMMENT ON COLUMN events.kind IS '1 view, 2 search, 3 add_to_cart, 4 remove_from_cart, 5 purchase, 6 return, 7 like, 8 rate, 9 purchase_claim, 10 return_claim (what a client says of money; counts as none); 100 to 199 kinds of the shop''s own, see event_kinds.';
ALTER TABLE events ADD CONSTRAINT events_key_unique UNIQUE (event_key, occurred_at);
CREATE INDEX events_user_occurred ON events (user_id, occurred_at) WHERE user_id IS NOT NULL;
CREATE INDEX events_received ON events USING brin (received_at) WITH (pages_per_range = 32);
CREATE INDEX events_traded ON events (occurred_at, user_id) WHERE kind IN (5, 6);
COMMENT ON TABLE events IS 'What users did, one row each, partitioned by year of occurred_at (partition events_YYYY, made on demand; all before 2025 in events_before_2025).';

CREATE TABLE events_before_2025 (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS);
COMMENT ON TABLE events_before_2025 IS 'Events of all years before 2025 (UTC).';
INSERT INTO events_before_2025 SELECT * FROM events_by_month WHERE occurred_at < '2025-01-01 00:00:00+00';
ALTER TABLE events ATTACH PARTITION events_before_2025 FOR VALUES FROM (MINVALUE) TO ('2025-01-01 00:00:00+00');

CREATE OR REPLACE FUNCTION ensure_event_partition(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz := date_trunc('year', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    next timestamptz := (date_trunc('year', moment AT TIME ZONE 'UTC') + interval '1 year') AT TIME ZONE 'UTC';
    name text := 'events_' || to_char(moment AT TIME ZONE 'UTC', 'YYYY');
BEGIN
    -- What is older is in events_before_2025.
    IF first < '2025-01-01 00:00:00+00' OR to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_event_partition'));
    -- By a query, for it sees what was committed while we waited; to_regclass answers from this session's cache.
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = current_schema()::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name, 'Events of one year (UTC).');
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
END $$;
COMMENT ON FUNCTION ensure_event_partition(timestamptz) IS 'Makes the yearly partition that holds a moment, unless it is there.';

SELECT ensure_event_partition(year) FROM (
    SELECT DISTINCT date_trunc('year', occurred_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS year FROM events_by_month ORDER BY year
) AS years;
INSERT INTO events SELECT * FROM events_by_month WHERE occurred_at >= '2025-01-01 00:00:00+00';
DROP TABLE events_by_month;

COMMENT ON TABLE user_features IS 'Features of every user as of the last training, counted until the newest event of its data.';
COMMENT ON COLUMN user_features.purchases_per_month IS 'Purchases per month of active time, as segments compare them.';
COMMENT ON COLUMN user_features.browsing_minutes_per_month IS 'Minutes of dwell per month of active time.';
COMMENT ON COLUMN user_features.searches_per_month IS 'Searches per month of active time.';
COMMENT ON COLUMN user_features.recency_days IS 'Days from the last purchase to the newest event; null = none.';
