-- Unread again, archived, snoozed and deleted.
ALTER TABLE notifications
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN snoozed_until timestamptz,
    ADD COLUMN inbox_changed_at timestamptz,
    DROP CONSTRAINT notifications_reason_known,
    ADD CONSTRAINT notifications_reason_known CHECK (withdrawn_reason IN ('superseded', 'withdrawn', 'deleted')),
    ADD CONSTRAINT notifications_one_place CHECK (archived_at IS NULL OR snoozed_until IS NULL),
    ADD CONSTRAINT notifications_place_dated
        CHECK (inbox_changed_at IS NOT NULL OR (archived_at IS NULL AND snoozed_until IS NULL));
COMMENT ON COLUMN notifications.archived_at IS 'When its user archived it; null = it is not in the archive.';
COMMENT ON COLUMN notifications.snoozed_until IS 'Its user wants it out of the list until then, unread and unseen from then on; null = never, or ended by hand.';
COMMENT ON COLUMN notifications.inbox_changed_at IS 'When its user last archived or snoozed it, or put it back; an earlier change that is stored later changes nothing. Null = never.';
COMMENT ON COLUMN notifications.read_at IS 'When it was last opened, clicked or marked as read since inbox_changed_at; null = not. Of a snoozed one only what comes after snoozed_until counts.';
COMMENT ON COLUMN notifications.withdrawn_reason IS 'superseded (collapse_key), withdrawn (by the shop) or deleted (by its user).';
-- The live messages of one user, however long the history before them: counts, lists, and what memory keeps of them.
CREATE INDEX notifications_live ON notifications (user_id, expires_at) WHERE withdrawn_at IS NULL AND trigger <> 'login';
