-- Calls of the shop can be seen, paused and slowed down.

ALTER TABLE decisions ADD call_id uuid;
CREATE INDEX decisions_call ON decisions (call_id, user_id) WHERE call_id IS NOT NULL;
COMMENT ON COLUMN decisions.call_id IS 'Id of the message of the shop as its call was answered with: a broadcast, or the notification_id of a single message; null = no message of the shop, and before this column.';

ALTER TABLE notifications ADD call_id uuid;
CREATE INDEX notifications_call ON notifications (call_id, user_id) WHERE call_id IS NOT NULL;
COMMENT ON COLUMN notifications.call_id IS 'The broadcast that it is part of; null = none, and before this column.';

-- A row that is held is not on the timeline: a look at what is due does not pass it.
ALTER TABLE outbox
    ADD broadcast_id uuid,
    ADD is_held boolean NOT NULL DEFAULT false;
UPDATE outbox SET broadcast_id = b.broadcast_id FROM broadcast_batches b WHERE b.batch = outbox.batch;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (due_at, outbox_id) WHERE NOT is_held;
CREATE INDEX outbox_batch ON outbox (batch);
CREATE INDEX outbox_held ON outbox (broadcast_id, due_at, outbox_id) WHERE is_held;
COMMENT ON COLUMN outbox.broadcast_id IS 'The broadcast that it is part of; null = a single message that is sent at once.';
COMMENT ON COLUMN outbox.is_held IS 'Not handed on whatever due_at says: its broadcast is paused, or goes out at a rate and has more to send.';

ALTER TABLE held_messages ADD is_paused boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN held_messages.is_paused IS 'Its call is paused: not judged, and not read with its user.';

ALTER TABLE broadcasts
    ADD rate_per_minute integer,
    ADD rate_used_until timestamptz,
    ADD CONSTRAINT broadcasts_rate_range CHECK (rate_per_minute BETWEEN 1 AND 1000000),
    DROP CONSTRAINT broadcasts_state_known,
    ADD CONSTRAINT broadcasts_state_known CHECK (state IN ('scheduled', 'sent', 'paused', 'withdrawn', 'expired'));
CREATE INDEX broadcasts_rated ON broadcasts (rate_used_until) WHERE state = 'sent' AND rate_used_until IS NOT NULL;
COMMENT ON COLUMN broadcasts.state IS 'scheduled: waits for due_at; sent: handed to the outbox; paused: nothing more of it is decided; withdrawn: taken back; expired: its lifetime ended before it could be sent.';
COMMENT ON COLUMN broadcasts.rate_per_minute IS 'Most users a minute; null = as fast as it goes.';
COMMENT ON COLUMN broadcasts.rate_used_until IS 'Moment up to which its rate is used by what was handed on; null = nothing is left to hand on at a rate.';
