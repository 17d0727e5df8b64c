CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('tidings.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log: rows are added only';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Refuses changes of the audit log but by an erasure, whose changes the chain bears.';
DROP TABLE audit_begin;
