ALTER TABLE events RENAME TO events_by_year;
ALTER TABLE events_by_year RENAME CONSTRAINT events_key_unique TO events_by_year_key_unique;
ALTER INDEX events_user_occurred RENAME TO events_by_year_user_occurred;
ALTER INDEX events_received RENAME TO events_by_year_received;
ALTER INDEX events_traded RENAME TO events_by_year_traded;

CREATE TABLE events (LIKE events_by_year INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)
    PARTITION BY RANGE (occurred_at);
COMMENT ON COLUMN events.kind IS '1 view, 2 search, 3 add_to_cart, 4 remove_from_cart, 5 purchase, 6 return, 7 like, 8 rate, 9 purchase_claim, 10 return_claim (what a client says of money; counts as none).';
ALTER TABLE events ADD CONSTRAINT events_key_unique UNIQUE (event_key, occurred_at);
CREATE INDEX events_user_occurred ON events (user_id, occurred_at) WHERE user_id IS NOT NULL;
CREATE INDEX events_received ON events USING brin (received_at) WITH (pages_per_range = 32);
CREATE INDEX events_traded ON events (occurred_at, user_id) WHERE kind IN (5, 6);
COMMENT ON TABLE events IS 'What users did, one row each, partitioned by month of occurred_at (partition events_YYYYMM, made on demand).';

CREATE OR REPLACE FUNCTION ensure_event_partition(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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

SELECT ensure_event_partition(month) FROM (
    SELECT DISTINCT date_trunc('month', occurred_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS month FROM events_by_year ORDER BY month
) AS months;
INSERT INTO events SELECT * FROM events_by_year;
DROP TABLE events_by_year;

COMMENT ON TABLE user_features IS 'Features of every user as of the last training.';
COMMENT ON COLUMN user_features.purchases_per_month IS 'Purchases per month since first seen.';
COMMENT ON COLUMN user_features.browsing_minutes_per_month IS 'Minutes of dwell per month since first seen.';
COMMENT ON COLUMN user_features.searches_per_month IS 'Searches per month since first seen.';
COMMENT ON COLUMN user_features.recency_days IS 'Days since the last purchase; null = none.';
