-- A request that is repeated with its Idempotency-Key gets the answer of the first one; another request under that key is refused.
CREATE TABLE idempotency_keys (
    key_hash uuid PRIMARY KEY,
    fingerprint uuid NOT NULL,
    answer text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_accepted ON idempotency_keys (accepted_at);
COMMENT ON TABLE idempotency_keys IS 'Accepted requests by their Idempotency-Key, with the answer they got; kept for 7 days.';
COMMENT ON COLUMN idempotency_keys.key_hash IS 'UUIDv8 of the Idempotency-Key and what it is a key of.';
COMMENT ON COLUMN idempotency_keys.fingerprint IS 'UUIDv8 of the path and the body, as JSON in one order: another one under the same key is another request.';
COMMENT ON COLUMN idempotency_keys.answer IS 'JSON body of the answer.';
COMMENT ON COLUMN idempotency_keys.accepted_at IS 'When the first request was accepted.';
