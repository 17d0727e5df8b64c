-- Lists of placements that were answered, and which list an event came from: click-through of a placement.
CREATE TABLE lists (
    list_id uuid PRIMARY KEY,
    user_id integer,
    placement text NOT NULL,
    items integer[] NOT NULL,
    made_at timestamptz NOT NULL
);
CREATE INDEX lists_made ON lists (made_at);
CREATE INDEX lists_user ON lists (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE lists IS 'Lists on request that name a placement, kept for retention.lists_days.';
COMMENT ON COLUMN lists.list_id IS 'As answered.';
COMMENT ON COLUMN lists.user_id IS 'Whose list; null = of nobody in particular, or of a user who was not known yet.';
COMMENT ON COLUMN lists.placement IS 'Name of the placement.';
COMMENT ON COLUMN lists.items IS 'Items in their order.';
COMMENT ON COLUMN lists.made_at IS 'When it was answered.';

ALTER TABLE events ADD COLUMN list_id uuid;
CREATE INDEX events_of_lists ON events (occurred_at) WHERE list_id IS NOT NULL;
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT 'events'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
        EXECUTE format('COMMENT ON COLUMN %s.list_id IS %L', part,
            'List that the item was found in, as the sender says; null = it names none. It need not be one of lists.');
    END LOOP;
END $$;
