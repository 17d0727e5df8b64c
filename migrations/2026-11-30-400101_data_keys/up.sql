-- Keys that fields of users are encrypted under. They are committed before the rows that need them, in a transaction of their own, so
-- that a key in memory is never one that was rolled back; hence no reference to users.
CREATE TABLE data_keys (
    key_id uuid PRIMARY KEY,
    user_id integer NOT NULL,
    master_key text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT data_keys_wrapped_length CHECK (octet_length(wrapped) = 60)
);
CREATE INDEX data_keys_user ON data_keys (user_id);
-- Few different values: small, and the start of a server asks for them.
CREATE INDEX data_keys_master ON data_keys (master_key);
COMMENT ON TABLE data_keys IS 'Keys of encrypted fields, themselves encrypted under a master key that the database never sees. Without its key a field is noise.';
COMMENT ON COLUMN data_keys.key_id IS 'Random; an encrypted field names it.';
COMMENT ON COLUMN data_keys.user_id IS 'Whose fields, by inner id; -1 = the server''s own, for what belongs to nobody or to many.';
COMMENT ON COLUMN data_keys.master_key IS 'Name of the master key that it is wrapped by.';
COMMENT ON COLUMN data_keys.wrapped IS 'Nonce (12 bytes), key encrypted by AES-256-GCM (32), tag (16).';
COMMENT ON COLUMN data_keys.created_at IS 'When it was made.';
