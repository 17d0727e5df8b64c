-- What clients say of purchases and returns: kinds of their own, so that no reader of purchases counts them.

-- Months that were attached have the constraint of their own as well.
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
COMMENT ON COLUMN events.kind IS '1 view, 2 search, 3 add_to_cart, 4 remove_from_cart, 5 purchase, 6 return, 7 like, 8 rate, 9 purchase_claim, 10 return_claim (what a client says of money; counts as none).';
