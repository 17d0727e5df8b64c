-- Nothing is searched for by these, and they are the widest: sampling them took most of the time of each automatic ANALYZE,
-- beside commits that somebody waits for.
ALTER TABLE decisions
    ALTER COLUMN reasons SET STATISTICS 0,
    ALTER COLUMN items SET STATISTICS 0,
    ALTER COLUMN features SET STATISTICS 0,
    ALTER COLUMN alternatives SET STATISTICS 0,
    ALTER COLUMN steps SET STATISTICS 0,
    ALTER COLUMN arms SET STATISTICS 0;
ALTER TABLE notifications
    ALTER COLUMN items SET STATISTICS 0,
    ALTER COLUMN frame SET STATISTICS 0;
