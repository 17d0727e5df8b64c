-- Live messages of users before an offset of each, by user and offset: of each the newest. Sorted by an expression, so that
-- the index of live messages leads to them: the one of offsets would lead through all that is history.
-- Parameters: users; offsets; now; most messages a user.
SELECT n.*
FROM unnest(?, ?) AS u (user_id, before)
CROSS JOIN LATERAL (
    SELECT user_id, notification_id, stream_offset, kind, category, trigger, '{}'::integer[], '', created_at, expires_at,
        false, collapse_key, priority, seen_at, read_at, inbox_changed_at, archived_at IS NOT NULL, snoozed_until,
        false, NULL::timestamptz, given_at IS NOT NULL, channel, call_id
    FROM notifications
    WHERE user_id = u.user_id AND stream_offset < u.before AND expires_at > ?
        AND withdrawn_at IS NULL AND trigger <> 'login'
    ORDER BY stream_offset + 0 DESC LIMIT ?
) n
ORDER BY n.user_id, n.stream_offset
