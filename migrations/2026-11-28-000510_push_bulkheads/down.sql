DROP INDEX push_outbox_waiting, push_outbox_claimed, push_outbox_expires;
CREATE INDEX push_outbox_due ON push_outbox (due_at);
ALTER TABLE push_outbox DROP COLUMN service;
-- The version before knows no subscription that has ended.
DELETE FROM push_subscriptions WHERE ended_at IS NOT NULL;
DROP INDEX push_subscriptions_ended;
ALTER TABLE push_subscriptions
    DROP COLUMN service,
    DROP COLUMN application_server_key,
    DROP COLUMN refusals,
    DROP COLUMN ended_at,
    DROP COLUMN end_reason;
