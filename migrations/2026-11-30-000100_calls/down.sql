UPDATE broadcasts SET state = 'sent' WHERE state = 'paused';
DROP INDEX broadcasts_rated;
ALTER TABLE broadcasts
    DROP CONSTRAINT broadcasts_rate_range,
    DROP rate_per_minute,
    DROP rate_used_until,
    DROP CONSTRAINT broadcasts_state_known,
    ADD CONSTRAINT broadcasts_state_known CHECK (state IN ('scheduled', 'sent', 'withdrawn', 'expired'));
COMMENT ON COLUMN broadcasts.state IS 'scheduled: waits for due_at; sent: handed to the outbox; withdrawn: taken back; expired: its lifetime ended before it could be sent.';
ALTER TABLE held_messages DROP is_paused;
DROP INDEX outbox_due;
DROP INDEX outbox_batch;
DROP INDEX outbox_held;
ALTER TABLE outbox DROP broadcast_id, DROP is_held;
CREATE INDEX outbox_due ON outbox (due_at, outbox_id);
DROP INDEX notifications_call;
ALTER TABLE notifications DROP call_id;
DROP INDEX decisions_call;
ALTER TABLE decisions DROP call_id;
