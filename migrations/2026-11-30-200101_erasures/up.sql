-- Erasure of users: jobs with their receipts, tombstones that refuse what comes late, and an audit log whose entries can be made
-- pseudonymous without breaking its chain.

CREATE TABLE erasure_key (
    singleton boolean PRIMARY KEY DEFAULT true,
    key bytea NOT NULL,
    CONSTRAINT erasure_key_singleton CHECK (singleton),
    CONSTRAINT erasure_key_length CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE erasure_key IS 'One row: key of the hashes that stand for erased ids.';
COMMENT ON COLUMN erasure_key.singleton IS 'Always true.';
COMMENT ON COLUMN erasure_key.key IS '32 random bytes.';
-- Two UUIDs of version 4 are 244 random bits.
INSERT INTO erasure_key (key)
VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

CREATE FUNCTION erased_id_hash(id text) RETURNS bytea STABLE LANGUAGE sql AS $$
    SELECT sha256(key || sha256(key || convert_to(id, 'UTF8'))) FROM erasure_key
$$;
COMMENT ON FUNCTION erased_id_hash(text) IS 'Keyed hash of a user''s id: what is kept of one that was erased.';

CREATE TABLE erasures (
    erasure_id uuid PRIMARY KEY,
    state text NOT NULL DEFAULT 'requested',
    pseudonym text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL,
    erased_at timestamptz,
    finished_at timestamptz,
    removed jsonb NOT NULL DEFAULT '{}',
    kept jsonb NOT NULL DEFAULT '{}',
    names_under_way text[],
    inner_ids integer[],
    items_under_way integer[],
    CONSTRAINT erasures_state_known CHECK (state IN ('requested', 'removing', 'models', 'done')),
    CONSTRAINT erasures_names_while_under_way CHECK ((names_under_way IS NULL) = (state IN ('models', 'done')))
);
CREATE INDEX erasures_under_way ON erasures (requested_at) WHERE state <> 'done';
COMMENT ON TABLE erasures IS 'Erasures of users: jobs, and the receipts that stay.';
COMMENT ON COLUMN erasures.erasure_id IS 'UUIDv7, id of the receipt.';
COMMENT ON COLUMN erasures.state IS 'requested; removing: the id is refused and rows go; models: all rows are gone, versions trained before wait for a newer one; done.';
COMMENT ON COLUMN erasures.pseudonym IS 'Stands for the user''s id in what is kept.';
COMMENT ON COLUMN erasures.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN erasures.requested_by IS 'By whom: admin, service, user or operator (the command line).';
COMMENT ON COLUMN erasures.erased_at IS 'When the last row was gone; null = not yet.';
COMMENT ON COLUMN erasures.finished_at IS 'When no model was left that was trained before; null = not yet.';
COMMENT ON COLUMN erasures.removed IS 'Rows removed by table.';
COMMENT ON COLUMN erasures.kept IS 'Rows kept under the pseudonym by table.';
COMMENT ON COLUMN erasures.names_under_way IS 'Ids of the user while they are being erased; null once they are.';
COMMENT ON COLUMN erasures.inner_ids IS 'Inner ids of the user, which are never given again; null before they are looked up.';
COMMENT ON COLUMN erasures.items_under_way IS 'Items that only events have named, of which the user''s may be the only ones; null once that is settled.';

CREATE TABLE tombstones (
    id_hash bytea PRIMARY KEY,
    erasure_id uuid NOT NULL REFERENCES erasures ON DELETE CASCADE,
    until timestamptz NOT NULL
);
CREATE INDEX tombstones_erasure ON tombstones (erasure_id);
COMMENT ON TABLE tombstones IS 'Erased ids, as hashes: whatever names one is refused.';
COMMENT ON COLUMN tombstones.id_hash IS 'erased_id_hash of the id.';
COMMENT ON COLUMN tombstones.erasure_id IS 'By which erasure.';
COMMENT ON COLUMN tombstones.until IS 'The id may be used anew from then on.';

-- Whoever looks for changes of identity sees new and released tombstones as well.
CREATE TRIGGER tombstones_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tombstones
    FOR EACH STATEMENT EXECUTE FUNCTION note_identity_change();

-- An erasure tells no system of the shop about the rows that it takes away.
CREATE OR REPLACE FUNCTION webhook_wanted(wanted text) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT coalesce(current_setting('tidings.erasing', true), '') <> 'on'
        AND EXISTS (SELECT FROM webhook_endpoints WHERE state = 'active' AND wanted = ANY(events))
$$;
COMMENT ON FUNCTION webhook_wanted IS 'Whether an active endpoint wants an event; an erasure tells nobody.';

-- The chain covers a salted digest of the fields that may name a person. Without the salt nothing can be found out by trying ids,
-- so that the fields of an erased person can be replaced while the chain stays whole.
ALTER TABLE audit_log
    ADD COLUMN salt bytea,
    ADD COLUMN digest bytea,
    ADD COLUMN is_pseudonymous boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT audit_log_salt_length CHECK (octet_length(salt) = 16),
    ADD CONSTRAINT audit_log_digest_length CHECK (octet_length(digest) = 32),
    ADD CONSTRAINT audit_log_salt_of_digest CHECK (salt IS NULL OR (digest IS NOT NULL AND NOT is_pseudonymous));
COMMENT ON COLUMN audit_log.salt IS '16 random bytes of the digest; null once the entry is pseudonymous, and for entries of older versions.';
COMMENT ON COLUMN audit_log.digest IS 'SHA-256 over salt, actor, address, object, before and after; null for entries of older versions.';
COMMENT ON COLUMN audit_log.is_pseudonymous IS 'An erasure has replaced the id of a user in it.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over the hash of the row before, the fields that name nobody, and the digest of the others; of all fields for entries of older versions.';

CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('tidings.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log: rows are added only';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Refuses changes of the audit log but by an erasure, whose changes the chain bears.';
