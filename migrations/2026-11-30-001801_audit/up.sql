-- Audit log: what people and services changed, whose data they read, and what they were refused. Rows are added and never changed; each
-- carries a hash of itself and of the row before it, so that a row which was changed, taken out or put in between is found.

CREATE TABLE audit_log (
    seq bigint PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    actor text,
    role text NOT NULL,
    address text,
    action text NOT NULL,
    object text NOT NULL,
    status smallint NOT NULL,
    before text,
    after text,
    hash bytea NOT NULL,
    CONSTRAINT audit_log_seq_positive CHECK (seq > 0),
    CONSTRAINT audit_log_hash_length CHECK (octet_length(hash) = 32)
);
CREATE INDEX audit_log_actor ON audit_log (actor, seq);
CREATE INDEX audit_log_object ON audit_log (object, seq);
COMMENT ON TABLE audit_log IS 'Changes, readings of personal data and refused attempts, with who, when and from where; rows are added only.';
COMMENT ON COLUMN audit_log.seq IS 'Place in the log, without gaps.';
COMMENT ON COLUMN audit_log.occurred_at IS 'When it happened.';
COMMENT ON COLUMN audit_log.actor IS 'Subject of the token, or name of the account that ran a command; null = not known.';
COMMENT ON COLUMN audit_log.role IS 'user, service, admin, operator (a command), open (authentication off) or none (no valid token).';
COMMENT ON COLUMN audit_log.address IS 'Address of the client; null = not known, or a command.';
COMMENT ON COLUMN audit_log.action IS 'Method and route, or the command.';
COMMENT ON COLUMN audit_log.object IS 'Path of the request, which names the object.';
COMMENT ON COLUMN audit_log.status IS 'HTTP status; 0 = a command.';
COMMENT ON COLUMN audit_log.before IS 'What was there before, JSON with masked values; null = nothing, or not known.';
COMMENT ON COLUMN audit_log.after IS 'What is there since, likewise.';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over the hash of the row before and the fields of this one.';

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log: rows are added only';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Refuses changes of the audit log.';
CREATE TRIGGER audit_log_grows_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
