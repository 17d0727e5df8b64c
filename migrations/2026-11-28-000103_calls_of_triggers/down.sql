COMMENT ON COLUMN broadcasts.message IS 'JSON as in outbox.message.';
COMMENT ON TABLE broadcasts IS 'Messages to more than one user or with a send_at, one row a message; kept for 100 days after their time.';
ALTER TABLE held_messages DROP COLUMN call_id;
