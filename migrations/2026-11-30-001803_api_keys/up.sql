-- API keys of services. A key is shown once; what is stored is its SHA-256, which is enough for 256 random bits.

CREATE TABLE api_keys (
    key_id uuid PRIMARY KEY,
    name text NOT NULL,
    hash bytea NOT NULL,
    hint text NOT NULL,
    role text NOT NULL,
    scopes text[] NOT NULL,
    origins text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    CONSTRAINT api_keys_hash_length CHECK (octet_length(hash) = 32),
    CONSTRAINT api_keys_role_known CHECK (role IN ('service', 'admin'))
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
COMMENT ON TABLE api_keys IS 'API keys of services and people.';
COMMENT ON COLUMN api_keys.key_id IS 'UUIDv7.';
COMMENT ON COLUMN api_keys.name IS 'For people, and the subject in records.';
COMMENT ON COLUMN api_keys.hash IS 'SHA-256 of the key.';
COMMENT ON COLUMN api_keys.hint IS 'First characters of the key, to tell keys apart.';
COMMENT ON COLUMN api_keys.role IS 'service or admin.';
COMMENT ON COLUMN api_keys.scopes IS 'Areas it is confined to, such as events:write; empty = all that the role may.';
COMMENT ON COLUMN api_keys.origins IS 'Addresses, networks and web origins it may be used from; empty = from anywhere.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN api_keys.created_by IS 'Who made it.';
COMMENT ON COLUMN api_keys.expires_at IS 'End of its validity; null = none.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Last use, to the minute; null = never used.';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was revoked; null = it was not.';
COMMENT ON COLUMN api_keys.revoked_by IS 'Who revoked it; null = nobody did.';

CREATE TRIGGER api_keys_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF revoked_at ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION note_identity_change();
