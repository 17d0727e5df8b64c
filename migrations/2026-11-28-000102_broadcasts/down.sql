DROP TABLE broadcast_batches;
DROP TABLE broadcasts;
