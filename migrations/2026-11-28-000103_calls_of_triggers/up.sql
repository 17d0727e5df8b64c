-- What one call of the shop set off is taken back by the id of the call.
ALTER TABLE held_messages ADD COLUMN call_id uuid;
CREATE INDEX held_messages_call ON held_messages (call_id) WHERE call_id IS NOT NULL;
COMMENT ON COLUMN held_messages.call_id IS 'The call of the shop that set it off, a broadcast; with the user it gives the notification_id. Of a message that a digest mentions: its notification_id. Null = nobody''s call.';
COMMENT ON TABLE broadcasts IS 'Messages to more than one user or with a send_at, one row a message, and calls that set triggers off; kept for 100 days after their time.';
COMMENT ON COLUMN broadcasts.message IS 'JSON as in outbox.message; of a trigger an object of trigger, item_id, price_before and event.';
