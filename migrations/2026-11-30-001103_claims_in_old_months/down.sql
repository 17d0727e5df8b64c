DO $$
DECLARE
    month regclass;
BEGIN
    ALTER TABLE events DROP CONSTRAINT events_kind_known;
    FOR month IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS events_kind_known', month);
    END LOOP;
END $$;
ALTER TABLE events ADD CONSTRAINT events_kind_known CHECK (kind > 0) NOT VALID;
