-- Unread messages of a user, and those among them that no list has shown.
-- Parameters: user; now; now.
SELECT count(*), count(*) FILTER (WHERE NOT coalesce(seen_at >= coalesce(snoozed_until, '-infinity'), false))
FROM notifications
WHERE user_id = ? AND expires_at > ? AND withdrawn_at IS NULL AND trigger <> 'login'
    AND archived_at IS NULL AND (snoozed_until IS NULL OR snoozed_until <= ?)
    AND NOT coalesce(read_at >= coalesce(snoozed_until, inbox_changed_at, '-infinity'), false)
