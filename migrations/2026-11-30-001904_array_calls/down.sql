COMMENT ON TABLE broadcasts IS 'Messages to more than one user or with a send_at, one row a message, and calls that set triggers off; kept for 100 days after their time.';
COMMENT ON COLUMN broadcasts.message IS 'JSON as in outbox.message; of a trigger an object of trigger, item_id, price_before and event.';
COMMENT ON COLUMN outbox.broadcast_id IS 'The broadcast that it is part of; null = a single message that is sent at once.';
