-- Withdraws live messages of a user whose collapse key a later one has.
-- Parameters: now; user, twice.
UPDATE notifications n SET withdrawn_at = ?, withdrawn_reason = 'superseded'
FROM (
    SELECT DISTINCT ON (collapse_key) collapse_key, notification_id FROM notifications
    WHERE user_id = ? AND collapse_key IS NOT NULL AND withdrawn_at IS NULL
    ORDER BY collapse_key, created_at DESC, notification_id DESC
) latest
WHERE n.user_id = ? AND n.collapse_key = latest.collapse_key AND n.notification_id <> latest.notification_id
    AND n.withdrawn_at IS NULL
