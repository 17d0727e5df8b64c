-- The newest messages of each user, by user and offset; the frame is empty for what need not be sent again.
-- Parameters: users; now; since; most messages a user.
SELECT n.*
FROM unnest(?) AS u (user_id)
LEFT JOIN acknowledgements a USING (user_id)
CROSS JOIN LATERAL (
    SELECT user_id, notification_id, stream_offset, kind, category, trigger, items,
        CASE WHEN expires_at > ? AND withdrawn_at IS NULL AND (created_at > ? OR stream_offset > coalesce(a.up_to, 0))
            THEN frame ELSE '' END,
        created_at, expires_at, stream_offset <= coalesce(a.up_to, 0), collapse_key, priority,
        seen_at, read_at, inbox_changed_at, archived_at IS NOT NULL, snoozed_until, withdrawn_at IS NOT NULL,
        CASE WHEN withdrawn_reason = 'withdrawn' THEN withdrawn_at END, given_at IS NOT NULL, channel, call_id
    FROM notifications
    WHERE user_id = u.user_id
    ORDER BY stream_offset DESC LIMIT ?
) n
ORDER BY n.user_id, n.stream_offset
