-- Messages of the shop on their way into users' streams, and what each message of a stream has come to.

CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch uuid NOT NULL,
    due_at timestamptz NOT NULL,
    users text[] NOT NULL,
    message text NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at, outbox_id);
COMMENT ON TABLE outbox IS 'Messages that were accepted and have no place in a stream yet. A row goes when each of its users has had its turn.';
COMMENT ON COLUMN outbox.outbox_id IS 'Order of acceptance.';
COMMENT ON COLUMN outbox.batch IS 'UUIDv7; with the user it gives the notification_id, so that a second try can''t become a second message.';
COMMENT ON COLUMN outbox.due_at IS 'Not before this.';
COMMENT ON COLUMN outbox.users IS 'External ids, at most 1,000.';
COMMENT ON COLUMN outbox.message IS 'JSON: kind, category, priority, title, body and so on, the same for each user of the row.';

CREATE TABLE notification_receipts (
    receipt uuid PRIMARY KEY,
    accepted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notification_receipts_accepted ON notification_receipts (accepted_at);
COMMENT ON TABLE notification_receipts IS 'Keys of accepted messages, so that a request that is repeated is accepted once; kept for 7 days.';
COMMENT ON COLUMN notification_receipts.receipt IS 'UUIDv8 of the Idempotency-Key and the place in the request, or of the dedupe_key and the audience.';
COMMENT ON COLUMN notification_receipts.accepted_at IS 'When the first was accepted.';

ALTER TABLE notifications
    ADD COLUMN collapse_key text,
    ADD COLUMN priority smallint NOT NULL DEFAULT 1 CONSTRAINT notifications_priority_range CHECK (priority BETWEEN 0 AND 3),
    ADD COLUMN seen_at timestamptz,
    ADD COLUMN read_at timestamptz,
    ADD COLUMN withdrawn_at timestamptz,
    ADD COLUMN withdrawn_reason text CONSTRAINT notifications_reason_known CHECK (withdrawn_reason IN ('superseded', 'withdrawn'));
COMMENT ON COLUMN notifications.collapse_key IS 'A newer message of the user with the same key supersedes this one.';
COMMENT ON COLUMN notifications.priority IS '0 low, 1 normal, 2 high, 3 transactional.';
COMMENT ON COLUMN notifications.seen_at IS 'When a list with it was looked at; null = not yet.';
COMMENT ON COLUMN notifications.read_at IS 'When it was opened, clicked or marked as read; null = not yet.';
COMMENT ON COLUMN notifications.withdrawn_at IS 'Since when it is no longer shown or replayed; null = it is.';
COMMENT ON COLUMN notifications.withdrawn_reason IS 'superseded (collapse_key) or withdrawn (by the shop).';
CREATE INDEX notifications_collapse ON notifications (user_id, collapse_key) WHERE collapse_key IS NOT NULL AND withdrawn_at IS NULL;
