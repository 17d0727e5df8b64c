-- Triggers that look at what is inserted copy every row for it, also where no endpoint wants any: they are made with the first
-- endpoint.
CREATE FUNCTION make_webhook_triggers() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text;
BEGIN
    FOREACH added IN ARRAY ARRAY['notifications', 'decisions', 'feedback'] LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = added::regclass AND tgname = added || '_webhooks') THEN
            EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS added '
                'FOR EACH STATEMENT EXECUTE FUNCTION %I()', added || '_webhooks', added, 'webhooks_of_' || added);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION make_webhook_triggers IS 'Makes the triggers that copy every inserted row, unless they are there. Waits for writers of their tables.';

CREATE FUNCTION webhook_endpoint_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make_webhook_triggers();
    RETURN NULL;
END $$;
COMMENT ON FUNCTION webhook_endpoint_made IS 'Triggers of the first endpoint. They stay when it goes: to drop them would wait for readers too.';
CREATE TRIGGER webhook_endpoints_made AFTER INSERT ON webhook_endpoints
    FOR EACH STATEMENT EXECUTE FUNCTION webhook_endpoint_made();

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM webhook_endpoints) THEN
        DROP TRIGGER notifications_webhooks ON notifications;
        DROP TRIGGER decisions_webhooks ON decisions;
        DROP TRIGGER feedback_webhooks ON feedback;
    END IF;
END $$;
