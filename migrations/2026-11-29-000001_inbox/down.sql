DROP INDEX notifications_live;
UPDATE notifications SET withdrawn_reason = 'withdrawn' WHERE withdrawn_reason = 'deleted';
ALTER TABLE notifications
    DROP COLUMN archived_at,
    DROP COLUMN snoozed_until,
    DROP COLUMN inbox_changed_at,
    DROP CONSTRAINT notifications_reason_known,
    ADD CONSTRAINT notifications_reason_known CHECK (withdrawn_reason IN ('superseded', 'withdrawn'));
COMMENT ON COLUMN notifications.read_at IS 'When it was opened, clicked or marked as read; null = not yet.';
COMMENT ON COLUMN notifications.withdrawn_reason IS 'superseded (collapse_key) or withdrawn (by the shop).';
