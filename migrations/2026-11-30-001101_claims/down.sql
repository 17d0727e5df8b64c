DELETE FROM events WHERE kind > 8;
DO $$
DECLARE
    month regclass;
BEGIN
    ALTER TABLE events DROP CONSTRAINT events_kind_known;
    FOR month IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS events_kind_known', month);
    END LOOP;
END $$;
ALTER TABLE events ADD CONSTRAINT events_kind_known CHECK (kind BETWEEN 1 AND 8);
COMMENT ON COLUMN events.kind IS '1 view, 2 search, 3 add_to_cart, 4 remove_from_cart, 5 purchase, 6 return, 7 like, 8 rate.';
