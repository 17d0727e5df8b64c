-- Web Push (RFC 8030): the server's key, browsers that may be told something while nobody looks, and what waits for them.

CREATE TABLE push_keys (
    singleton boolean PRIMARY KEY DEFAULT true,
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT push_keys_one_row CHECK (singleton),
    CONSTRAINT push_keys_length CHECK (octet_length(private_key) = 32)
);
COMMENT ON TABLE push_keys IS 'The key the server identifies itself with to push services (RFC 8292); made at first start. A new one ends every subscription.';
COMMENT ON COLUMN push_keys.singleton IS 'Always true: one row.';
COMMENT ON COLUMN push_keys.private_key IS 'Secret: a private key of P-256, 32 bytes.';
COMMENT ON COLUMN push_keys.created_at IS 'When it was made.';

CREATE TABLE push_subscriptions (
    subscription_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    endpoint text NOT NULL,
    p256dh bytea NOT NULL,
    auth bytea NOT NULL,
    user_agent text,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_success_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    CONSTRAINT push_subscriptions_endpoint_unique UNIQUE (endpoint),
    CONSTRAINT push_subscriptions_endpoint_length CHECK (octet_length(endpoint) <= 2048),
    CONSTRAINT push_subscriptions_p256dh_length CHECK (octet_length(p256dh) = 65),
    CONSTRAINT push_subscriptions_auth_length CHECK (octet_length(auth) = 16)
);
CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id);
COMMENT ON TABLE push_subscriptions IS 'Browsers that agreed to be pushed to, as PushSubscription.toJSON() describes them.';
COMMENT ON COLUMN push_subscriptions.subscription_id IS 'Inner id.';
COMMENT ON COLUMN push_subscriptions.user_id IS 'Who is signed in there.';
COMMENT ON COLUMN push_subscriptions.endpoint IS 'Where to send. Whoever knows it can send: it is in no log line.';
COMMENT ON COLUMN push_subscriptions.p256dh IS 'The browser''s public key, an uncompressed point of P-256.';
COMMENT ON COLUMN push_subscriptions.auth IS 'The browser''s authentication secret (RFC 8291).';
COMMENT ON COLUMN push_subscriptions.user_agent IS 'What the browser called itself, for support.';
COMMENT ON COLUMN push_subscriptions.expires_at IS 'When the push service ends it; null = not told.';
COMMENT ON COLUMN push_subscriptions.created_at IS 'First handed in.';
COMMENT ON COLUMN push_subscriptions.last_success_at IS 'When the push service last took a message for it.';
COMMENT ON COLUMN push_subscriptions.failures IS 'Attempts that failed since then.';

CREATE TABLE push_outbox (
    notification_id uuid NOT NULL REFERENCES notifications ON DELETE CASCADE,
    subscription_id bigint NOT NULL REFERENCES push_subscriptions ON DELETE CASCADE,
    user_id integer NOT NULL,
    expires_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    claimed_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (notification_id, subscription_id)
);
CREATE INDEX push_outbox_due ON push_outbox (due_at);
CREATE INDEX push_outbox_subscription ON push_outbox (subscription_id);
COMMENT ON TABLE push_outbox IS 'Messages on their way to push services; a row goes when its message was taken, refused or expired.';
COMMENT ON COLUMN push_outbox.notification_id IS 'Which message.';
COMMENT ON COLUMN push_outbox.subscription_id IS 'To which browser.';
COMMENT ON COLUMN push_outbox.user_id IS 'To whom: a browser that another user takes over gets no message of the first.';
COMMENT ON COLUMN push_outbox.expires_at IS 'Not sent after this.';
COMMENT ON COLUMN push_outbox.due_at IS 'Not sent before this.';
COMMENT ON COLUMN push_outbox.claimed_until IS 'A sender has it until then; null = nobody. One that dies loses its claim.';
COMMENT ON COLUMN push_outbox.attempts IS 'How often it was claimed.';
