-- Months of before the claims say and check what new ones do.

ALTER TABLE events VALIDATE CONSTRAINT events_kind_known;
DO $$
DECLARE
    month regclass;
    meaning text := col_description('events'::regclass,
        (SELECT attnum FROM pg_attribute WHERE attrelid = 'events'::regclass AND attname = 'kind'));
BEGIN
    FOR month IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
        EXECUTE format('COMMENT ON COLUMN %s.kind IS %L', month, meaning);
    END LOOP;
END $$;
