DROP TABLE broadcast_recipients;
ALTER TABLE broadcasts DROP local_at;
