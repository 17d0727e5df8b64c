-- The table of events was made anew, without statistics: until autovacuum comes by, plans would be made for an empty table.
ANALYZE events;
