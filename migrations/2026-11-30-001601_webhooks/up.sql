-- Webhooks: endpoints of the shop, what is to be delivered to them, and the log of attempts. What happens is put into the outbox by
-- triggers, in the transaction that stores it: nothing committed is lost, whichever code committed it. Without an endpoint that
-- wants an event a trigger costs one look at a table of a few rows a statement.

CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY,
    url text NOT NULL,
    description text NOT NULL DEFAULT '',
    events text[] NOT NULL,
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    state text NOT NULL DEFAULT 'active',
    disabled_reason text,
    failing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    CONSTRAINT webhook_endpoints_state_known CHECK (state IN ('active', 'disabled')),
    CONSTRAINT webhook_endpoints_secret_length CHECK (octet_length(secret) BETWEEN 24 AND 64)
);
COMMENT ON TABLE webhook_endpoints IS 'Addresses of the shop that are told what happens.';
COMMENT ON COLUMN webhook_endpoints.endpoint_id IS 'UUIDv7.';
COMMENT ON COLUMN webhook_endpoints.url IS 'Address that requests go to.';
COMMENT ON COLUMN webhook_endpoints.description IS 'For people.';
COMMENT ON COLUMN webhook_endpoints.events IS 'Names of the events it wants.';
COMMENT ON COLUMN webhook_endpoints.secret IS 'Key that signs, shown once as whsec_….';
COMMENT ON COLUMN webhook_endpoints.old_secret IS 'The key before, which signs as well for a while; null = none.';
COMMENT ON COLUMN webhook_endpoints.old_secret_until IS 'End of that while.';
COMMENT ON COLUMN webhook_endpoints.state IS 'active or disabled; a disabled one is told nothing and nothing is kept for it.';
COMMENT ON COLUMN webhook_endpoints.disabled_reason IS 'Why it was disabled; null = it was not.';
COMMENT ON COLUMN webhook_endpoints.failing_since IS 'First failure since the last delivery; null = the last attempt delivered.';
COMMENT ON COLUMN webhook_endpoints.created_at IS 'When it was made.';
COMMENT ON COLUMN webhook_endpoints.changed_at IS 'When it was last changed.';
COMMENT ON COLUMN webhook_endpoints.changed_by IS 'Who changed it last.';

CREATE TABLE webhook_deliveries (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    message_id uuid NOT NULL,
    event text NOT NULL,
    payload text NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    since timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    finished_at timestamptz,
    CONSTRAINT webhook_deliveries_message_unique UNIQUE (message_id, endpoint_id),
    CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('pending', 'delivered', 'failed'))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'pending' AND claimed_until IS NULL;
CREATE INDEX webhook_deliveries_claimed ON webhook_deliveries (claimed_until) WHERE claimed_until IS NOT NULL;
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, delivery_id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
COMMENT ON TABLE webhook_deliveries IS 'Outbox and log of webhooks: a row for each event and endpoint, kept for some days once it has ended.';
COMMENT ON COLUMN webhook_deliveries.delivery_id IS 'Place in the log.';
COMMENT ON COLUMN webhook_deliveries.endpoint_id IS 'Where to.';
COMMENT ON COLUMN webhook_deliveries.message_id IS 'The webhook-id: the same at each attempt and for each endpoint.';
COMMENT ON COLUMN webhook_deliveries.event IS 'Name of the event.';
COMMENT ON COLUMN webhook_deliveries.payload IS 'The body, byte for byte.';
COMMENT ON COLUMN webhook_deliveries.state IS 'pending, delivered, or failed: given up.';
COMMENT ON COLUMN webhook_deliveries.attempts IS 'Attempts so far.';
COMMENT ON COLUMN webhook_deliveries.created_at IS 'When it happened.';
COMMENT ON COLUMN webhook_deliveries.since IS 'Age is counted from here: when it happened, or was replayed.';
COMMENT ON COLUMN webhook_deliveries.due_at IS 'Not before this.';
COMMENT ON COLUMN webhook_deliveries.claimed_until IS 'Being sent, until this at the latest; null = not.';
COMMENT ON COLUMN webhook_deliveries.finished_at IS 'When it was delivered or given up; null = pending.';

CREATE TABLE webhook_attempts (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    at timestamptz NOT NULL,
    took_ms integer NOT NULL,
    status smallint NOT NULL,
    answer text NOT NULL,
    CONSTRAINT webhook_attempts_answer_length CHECK (octet_length(answer) <= 1024)
);
CREATE INDEX webhook_attempts_delivery ON webhook_attempts (delivery_id, attempt_id);
COMMENT ON TABLE webhook_attempts IS 'Requests that were made for deliveries.';
COMMENT ON COLUMN webhook_attempts.attempt_id IS 'Order of the attempts.';
COMMENT ON COLUMN webhook_attempts.delivery_id IS 'Of which delivery.';
COMMENT ON COLUMN webhook_attempts.at IS 'When it began.';
COMMENT ON COLUMN webhook_attempts.took_ms IS 'Milliseconds to its end.';
COMMENT ON COLUMN webhook_attempts.status IS 'HTTP status; 0 = no answer.';
COMMENT ON COLUMN webhook_attempts.answer IS 'First bytes of the answer, or why there was none.';

CREATE TABLE webhook_cursor (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT webhook_cursor_singleton CHECK (singleton),
    purchases_until timestamptz
);
INSERT INTO webhook_cursor DEFAULT VALUES;
COMMENT ON TABLE webhook_cursor IS 'How far purchases were looked through for conversions.';
COMMENT ON COLUMN webhook_cursor.singleton IS 'One row.';
COMMENT ON COLUMN webhook_cursor.purchases_until IS 'Purchases received up to this were looked at; null = nobody wants conversions.';

CREATE FUNCTION webhook_wanted(wanted text) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM webhook_endpoints WHERE state = 'active' AND wanted = ANY(events))
$$;
COMMENT ON FUNCTION webhook_wanted IS 'Whether an active endpoint wants an event.';

-- The integer 17 is written as 17, as everywhere.
CREATE FUNCTION webhook_id(id text) RETURNS jsonb STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN id ~ '^(0|-?[1-9][0-9]{0,15})$' AND abs(id::bigint) <= 9007199254740991
        THEN to_jsonb(id::bigint) ELSE to_jsonb(id) END
$$;
COMMENT ON FUNCTION webhook_id IS 'An id of the shop as JSON.';

CREATE FUNCTION webhook_time(at timestamptz) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
COMMENT ON FUNCTION webhook_time IS 'RFC 3339 in UTC.';

CREATE FUNCTION webhook_payload(event text, at timestamptz, data jsonb) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', event, 'timestamp', webhook_time(at), 'data', data)::text
$$;
COMMENT ON FUNCTION webhook_payload IS 'Body of a request, as Standard Webhooks has it.';

CREATE FUNCTION emit_webhook(event text, at timestamptz, data jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload)
    SELECT e.endpoint_id, m.id, $1, webhook_payload($1, $2, $3)
    FROM (SELECT gen_random_uuid() AS id) m
    JOIN webhook_endpoints e ON e.state = 'active' AND $1 = ANY(e.events)
$$;
COMMENT ON FUNCTION emit_webhook IS 'Puts one event into the outbox of each endpoint that wants it; many go in one statement.';

CREATE FUNCTION webhooks_of_notifications() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF webhook_wanted('message.sent') THEN
        INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload)
        SELECT e.endpoint_id, m.id, 'message.sent', m.payload
        FROM (SELECT gen_random_uuid() AS id, webhook_payload('message.sent', n.created_at, jsonb_build_object(
                'notification_id', n.notification_id, 'user_id', webhook_id(u.external_id), 'kind', n.kind,
                'category', n.category, 'trigger', n.trigger,
                'channel', (ARRAY['socket', 'push', 'inbox'])[n.channel + 1], 'items', coalesce((SELECT jsonb_agg(webhook_id(i.external_id) ORDER BY x.place)
                    FROM unnest(n.items) WITH ORDINALITY AS x (item_id, place) JOIN items i USING (item_id)), '[]'),
                'call_id', n.call_id, 'expires_at', webhook_time(n.expires_at))) AS payload
            FROM added n JOIN users u USING (user_id)) m
        JOIN webhook_endpoints e ON e.state = 'active' AND 'message.sent' = ANY(e.events);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhooks_of_notifications IS 'message.sent.';
CREATE TRIGGER notifications_webhooks AFTER INSERT ON notifications REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_of_notifications();

CREATE FUNCTION webhooks_of_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF webhook_wanted('message.dropped') THEN
        INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload)
        SELECT e.endpoint_id, m.id, 'message.dropped', m.payload
        FROM (SELECT gen_random_uuid() AS id, webhook_payload('message.dropped', d.decided_at, jsonb_build_object(
                'decision_id', d.decision_id, 'user_id', webhook_id(u.external_id), 'category', d.category,
                'trigger', d.trigger, 'reasons', to_jsonb(d.reasons), 'items', coalesce((SELECT jsonb_agg(webhook_id(i.external_id) ORDER BY x.place)
                    FROM unnest(d.items) WITH ORDINALITY AS x (item_id, place) JOIN items i USING (item_id)), '[]'),
                'call_id', d.call_id)) AS payload
            FROM added d JOIN users u USING (user_id) WHERE d.outcome = 'drop') m
        JOIN webhook_endpoints e ON e.state = 'active' AND 'message.dropped' = ANY(e.events);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhooks_of_decisions IS 'message.dropped.';
CREATE TRIGGER decisions_webhooks AFTER INSERT ON decisions REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_of_decisions();

CREATE FUNCTION webhooks_of_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    names text[] := ARRAY['message.displayed', 'message.clicked', 'message.dismissed', 'message.converted', 'message.muted',
        'message.liked', 'message.disliked'];
BEGIN
    IF EXISTS (SELECT FROM webhook_endpoints WHERE state = 'active' AND events && names) THEN
        INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload)
        SELECT e.endpoint_id, m.id, m.event, m.payload
        FROM (SELECT gen_random_uuid() AS id, names[f.outcome] AS event,
                webhook_payload(names[f.outcome], f.occurred_at, jsonb_build_object(
                        'notification_id', f.notification_id, 'user_id', webhook_id(u.external_id),
                        'item_id', (SELECT webhook_id(external_id) FROM items WHERE item_id = f.item_id),
                        'category', n.category, 'trigger', n.trigger, 'call_id', n.call_id)
                    || CASE WHEN f.outcome = 4 THEN jsonb_build_object('source', 'client', 'value', f.value)
                        ELSE '{}' END) AS payload
            FROM added f JOIN users u USING (user_id) LEFT JOIN notifications n USING (notification_id)) m
        JOIN webhook_endpoints e ON e.state = 'active' AND m.event = ANY(e.events);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhooks_of_feedback IS 'message.displayed, clicked, dismissed, converted (as a client says), muted, liked and disliked.';
CREATE TRIGGER feedback_webhooks AFTER INSERT ON feedback REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_of_feedback();

CREATE FUNCTION webhooks_of_consents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF webhook_wanted('consent.changed') THEN
        PERFORM emit_webhook('consent.changed', NEW.recorded_at, jsonb_build_object(
            'user_id', webhook_id(u.external_id), 'purpose', NEW.purpose, 'granted', NEW.granted, 'source', NEW.source,
            'text_version', NEW.text_version))
        FROM users u WHERE u.user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhooks_of_consents IS 'consent.changed.';
CREATE TRIGGER consents_webhooks AFTER INSERT ON consents FOR EACH ROW EXECUTE FUNCTION webhooks_of_consents();

CREATE FUNCTION webhooks_of_preferences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF webhook_wanted('preference.changed') THEN
        PERFORM emit_webhook('preference.changed', NEW.updated_at, jsonb_build_object(
            'user_id', webhook_id(u.external_id), 'time_zone', NEW.time_zone, 'locale', NEW.locale,
            'quiet_from', to_char(make_interval(mins => NEW.quiet_from_minute), 'HH24:MI'),
            'quiet_to', to_char(make_interval(mins => NEW.quiet_to_minute), 'HH24:MI'),
            'muted', to_jsonb(NEW.muted), 'opted_out', coalesce((NEW.settings ->> 'opted_out')::boolean, false)))
        FROM users u WHERE u.user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhooks_of_preferences IS 'preference.changed.';
CREATE TRIGGER user_preferences_made_webhooks AFTER INSERT ON user_preferences
    FOR EACH ROW EXECUTE FUNCTION webhooks_of_preferences();
CREATE TRIGGER user_preferences_changed_webhooks AFTER UPDATE ON user_preferences
    FOR EACH ROW WHEN ((OLD.time_zone, OLD.locale, OLD.quiet_from_minute, OLD.quiet_to_minute, OLD.muted, OLD.settings)
        IS DISTINCT FROM (NEW.time_zone, NEW.locale, NEW.quiet_from_minute, NEW.quiet_to_minute, NEW.muted, NEW.settings))
    EXECUTE FUNCTION webhooks_of_preferences();

CREATE FUNCTION webhooks_of_subscriptions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := TG_ARGV[0];
    subscription push_subscriptions;
BEGIN
    IF webhook_wanted(name) THEN
        subscription := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        PERFORM emit_webhook(name, now(), jsonb_build_object(
                'user_id', webhook_id(u.external_id), 'subscription_id', subscription.subscription_id,
                'service', subscription.service, 'user_agent', subscription.user_agent)
            || CASE WHEN name = 'subscription.ended'
                THEN jsonb_build_object('reason', coalesce(subscription.end_reason, 'removed')) ELSE '{}' END)
        FROM users u WHERE u.user_id = subscription.user_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhooks_of_subscriptions IS 'subscription.started and subscription.ended.';
CREATE TRIGGER push_subscriptions_made_webhooks AFTER INSERT ON push_subscriptions
    FOR EACH ROW EXECUTE FUNCTION webhooks_of_subscriptions('subscription.started');
CREATE TRIGGER push_subscriptions_back_webhooks AFTER UPDATE ON push_subscriptions
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL AND NEW.ended_at IS NULL)
    EXECUTE FUNCTION webhooks_of_subscriptions('subscription.started');
CREATE TRIGGER push_subscriptions_ended_webhooks AFTER UPDATE ON push_subscriptions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION webhooks_of_subscriptions('subscription.ended');
CREATE TRIGGER push_subscriptions_removed_webhooks AFTER DELETE ON push_subscriptions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL)
    EXECUTE FUNCTION webhooks_of_subscriptions('subscription.ended');

-- Conversions are looked for from the moment on at which somebody wants them.
CREATE FUNCTION begin_webhook_conversions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_cursor SET purchases_until = coalesce(purchases_until, now()) WHERE webhook_wanted('message.converted');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION begin_webhook_conversions IS 'Sets the cursor of purchases when the first endpoint wants message.converted.';
CREATE TRIGGER webhook_endpoints_conversions AFTER INSERT OR UPDATE OF events, state ON webhook_endpoints
    FOR EACH STATEMENT EXECUTE FUNCTION begin_webhook_conversions();
