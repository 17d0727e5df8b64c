-- The audit log is kept for a time. The chain of what is left goes on from the hash of the last entry that was removed.
CREATE TABLE audit_begin (
    singleton boolean PRIMARY KEY DEFAULT true,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_begin_singleton CHECK (singleton),
    CONSTRAINT audit_begin_hash_length CHECK (octet_length(hash) = 32)
);
COMMENT ON TABLE audit_begin IS 'One row once entries of the audit log were removed because of their age: where the log begins.';
COMMENT ON COLUMN audit_begin.singleton IS 'Always true.';
COMMENT ON COLUMN audit_begin.seq IS 'Place of the last entry that was removed.';
COMMENT ON COLUMN audit_begin.hash IS 'Its hash.';

CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('tidings.erasing', true) = 'on'
        OR TG_OP = 'DELETE' AND current_setting('tidings.pruning', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log: rows are added only';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Refuses changes of the audit log but by an erasure and by age, which the chain bears.';
