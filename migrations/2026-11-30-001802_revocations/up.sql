-- Revoked tokens, and a number by which servers see that something about identity has changed.

CREATE TABLE revocations (
    revocation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_id text,
    subject text,
    issued_before timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    CONSTRAINT revocations_one_kind CHECK (token_id IS NULL OR subject IS NULL)
);
COMMENT ON TABLE revocations IS 'Revoked tokens: one by its id, those of a subject, or, without either, all.';
COMMENT ON COLUMN revocations.revocation_id IS 'Its number.';
COMMENT ON COLUMN revocations.token_id IS 'The jti of the token; null = not one token.';
COMMENT ON COLUMN revocations.subject IS 'Subject whose tokens are revoked; null = not of one subject.';
COMMENT ON COLUMN revocations.issued_before IS 'Only tokens issued before this; of no account for one token.';
COMMENT ON COLUMN revocations.reason IS 'For people.';
COMMENT ON COLUMN revocations.created_at IS 'When it was made.';
COMMENT ON COLUMN revocations.created_by IS 'Who made it.';

CREATE TABLE identity_changes (
    only_row boolean PRIMARY KEY DEFAULT true,
    changes bigint NOT NULL DEFAULT 0,
    CONSTRAINT identity_changes_one_row CHECK (only_row)
);
INSERT INTO identity_changes DEFAULT VALUES;
COMMENT ON TABLE identity_changes IS 'One row: how often revocations or API keys have changed.';
COMMENT ON COLUMN identity_changes.only_row IS 'Always true.';
COMMENT ON COLUMN identity_changes.changes IS 'Changes so far.';

CREATE FUNCTION note_identity_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE identity_changes SET changes = changes + 1;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_identity_change() IS 'Counts a change of revocations or API keys.';
CREATE TRIGGER revocations_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON revocations
    FOR EACH STATEMENT EXECUTE FUNCTION note_identity_change();
