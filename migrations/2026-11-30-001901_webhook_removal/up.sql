-- An endpoint is removed at once for everybody, and its deliveries in steps: one transaction for all of them would hold up whoever
-- stores something for it.
ALTER TABLE webhook_endpoints
    ADD COLUMN removed_at timestamptz,
    ADD CONSTRAINT webhook_endpoints_removed_disabled CHECK (removed_at IS NULL OR state = 'disabled');
COMMENT ON COLUMN webhook_endpoints.removed_at IS 'When it was removed: its deliveries go in steps, then the row. Null = it was not.';
