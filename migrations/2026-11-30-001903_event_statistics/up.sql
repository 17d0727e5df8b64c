-- The move to partitions of a year left the planner without statistics of the table as a whole; automatic ANALYZE never looks at it. An
-- empty table is left alone: known to be empty, it would be searched row by row while the first import fills it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM events) THEN
        ANALYZE events;
    END IF;
END
$$;
