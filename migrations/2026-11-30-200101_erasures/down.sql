CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log: rows are added only';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Refuses changes of the audit log.';
ALTER TABLE audit_log DROP COLUMN salt, DROP COLUMN digest, DROP COLUMN is_pseudonymous;
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over the hash of the row before and the fields of this one.';
CREATE OR REPLACE FUNCTION webhook_wanted(wanted text) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM webhook_endpoints WHERE state = 'active' AND wanted = ANY(events))
$$;
COMMENT ON FUNCTION webhook_wanted IS 'Whether an active endpoint wants an event.';
DROP TABLE tombstones;
DROP TABLE erasures;
DROP FUNCTION erased_id_hash;
DROP TABLE erasure_key;
