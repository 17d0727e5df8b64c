-- Stores what users did to messages.
-- Parameters: messages; seen at; read at; changed at; archived; snoozed until; deleted at.
UPDATE notifications n
SET seen_at = c.seen_at, read_at = c.read_at, inbox_changed_at = c.changed_at,
    archived_at = CASE WHEN c.archived THEN c.changed_at END, snoozed_until = c.snoozed_until,
    withdrawn_at = c.deleted_at, withdrawn_reason = CASE WHEN c.deleted_at IS NOT NULL THEN 'deleted' END
FROM unnest(?, ?, ?, ?, ?, ?, ?) AS c (notification_id, seen_at, read_at, changed_at, archived, snoozed_until, deleted_at)
WHERE n.notification_id = c.notification_id AND n.withdrawn_at IS NULL
