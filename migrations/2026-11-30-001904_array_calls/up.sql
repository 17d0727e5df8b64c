-- Messages of one request to one user each are one broadcast: it is seen, paused and taken back by the id of the request.
COMMENT ON TABLE broadcasts IS 'Messages to more than one user or with a send_at, one row a message; messages of one request to one user each, together one row; and calls that set triggers off. Kept for 100 days after their time.';
COMMENT ON COLUMN broadcasts.message IS 'JSON as in outbox.message; of a trigger an object of trigger, item_id, price_before and event; null in JSON for messages to one user each, which have words of their own.';
COMMENT ON COLUMN outbox.broadcast_id IS 'The broadcast that it is part of; null = a single message that is sent at once, of a request of its own.';
