-- Marks all live messages of a user up to an offset as read, also those that are: a change of one of them that was made
-- before may still come. Answers how many were unread, and in the list.
-- Parameters: at; user; offset; at; at; at; at; at; at.
WITH target AS MATERIALIZED (
    SELECT notification_id, archived_at IS NULL AND (snoozed_until IS NULL OR snoozed_until <= ?)
        AND NOT coalesce(read_at >= coalesce(snoozed_until, inbox_changed_at, '-infinity'), false) AS unread
    FROM notifications
    WHERE user_id = ? AND stream_offset <= ? AND expires_at > ? AND withdrawn_at IS NULL AND trigger <> 'login'
        AND (read_at IS NULL OR read_at < ?)
    ORDER BY notification_id FOR UPDATE
), done AS (
    UPDATE notifications n
    SET read_at = CASE WHEN n.inbox_changed_at > ? THEN n.read_at ELSE ? END,
        seen_at = CASE WHEN n.inbox_changed_at IS NULL THEN coalesce(n.seen_at, ?) ELSE greatest(n.seen_at, ?) END
    FROM target t WHERE n.notification_id = t.notification_id
)
SELECT count(*) FILTER (WHERE unread) FROM target
