-- Web Push with a budget and a breaker for each push service: what waits is found by service and user; a subscription ends with a
-- stored reason and knows the key it was made with.

ALTER TABLE push_subscriptions
    ADD COLUMN service text GENERATED ALWAYS AS (coalesce(lower(substring(endpoint FROM '^[A-Za-z]+://[^/?#]+')), '')) STORED NOT NULL,
    ADD COLUMN application_server_key text,
    ADD COLUMN refusals integer NOT NULL DEFAULT 0,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN end_reason text,
    ADD CONSTRAINT push_subscriptions_key_length CHECK (octet_length(application_server_key) <= 128),
    ADD CONSTRAINT push_subscriptions_end_reason CHECK (octet_length(end_reason) <= 64),
    ADD CONSTRAINT push_subscriptions_end CHECK ((ended_at IS NULL) = (end_reason IS NULL));
CREATE INDEX push_subscriptions_ended ON push_subscriptions (ended_at) WHERE ended_at IS NOT NULL;
COMMENT ON COLUMN push_subscriptions.service IS 'The push service: scheme, host and port of the endpoint.';
COMMENT ON COLUMN push_subscriptions.application_server_key IS 'Public VAPID key the browser subscribed with, base64url; null = handed in before this was kept.';
COMMENT ON COLUMN push_subscriptions.refusals IS 'Requests in a row that the push service refused (400, 401, 403 and the like); a success sets it to 0.';
COMMENT ON COLUMN push_subscriptions.ended_at IS 'When it ended: nothing is sent to it any more until its browser hands it in again; null = it has not.';
COMMENT ON COLUMN push_subscriptions.end_reason IS 'Why it ended: "gone 410", "refused 403", "other_key"; null = it has not.';

ALTER TABLE push_outbox ADD COLUMN service text NOT NULL DEFAULT '';
UPDATE push_outbox o SET service = s.service FROM push_subscriptions s WHERE s.subscription_id = o.subscription_id;
COMMENT ON COLUMN push_outbox.service IS 'The push service of the browser, as in push_subscriptions; empty = stored by an older version.';
DROP INDEX push_outbox_due;
CREATE INDEX push_outbox_waiting ON push_outbox (service, user_id, due_at) WHERE claimed_until IS NULL;
CREATE INDEX push_outbox_claimed ON push_outbox (claimed_until) WHERE claimed_until IS NOT NULL;
CREATE INDEX push_outbox_expires ON push_outbox (expires_at);
