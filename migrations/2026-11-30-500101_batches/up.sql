-- Batches of a broadcast stand in its own row: for each message of a request they cost a row of a table of theirs, two entries of indexes
-- and the check of a reference.
ALTER TABLE broadcasts ADD batches uuid[] NOT NULL DEFAULT '{}';
-- They hardly compress.
ALTER TABLE broadcasts ALTER COLUMN batches SET STORAGE EXTERNAL, ALTER COLUMN batches SET STATISTICS 0;
UPDATE broadcasts SET batches = b.batches
FROM (SELECT broadcast_id, array_agg(batch ORDER BY batch) AS batches FROM broadcast_batches GROUP BY broadcast_id) b
WHERE b.broadcast_id = broadcasts.broadcast_id;
DROP TABLE broadcast_batches;
COMMENT ON COLUMN broadcasts.batches IS 'Batches of the rows that it has or had in the outbox; with a user one gives the notification_id. None while a segment or everyone waits, whose users are read at due_at.';
