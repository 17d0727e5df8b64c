-- The latest messages of each user with their decisions and outcomes, by user and offset.
-- Parameters: users; most messages a user; since.
SELECT n.user_id, n.notification_id, n.created_at, n.category, n.trigger, n.items,
    ARRAY(SELECT outcome FROM feedback f WHERE f.notification_id = n.notification_id ORDER BY outcome),
    coalesce(d.campaign, CASE WHEN n.trigger = 'api' THEN n.kind END), d.channel, d.dedupe_key,
    coalesce(d.counted, n.priority < 3), n.expires_at, n.was_given, n.channel, n.call_id
FROM unnest(?) AS u (user_id)
CROSS JOIN LATERAL (
    SELECT user_id, notification_id, stream_offset, created_at, category, trigger, items, kind, priority, channel, call_id,
        least(expires_at, CASE WHEN withdrawn_reason = 'withdrawn' THEN withdrawn_at END) AS expires_at,
        coalesce(given_at, seen_at, read_at) IS NOT NULL AS was_given
    FROM notifications
    WHERE user_id = u.user_id
    ORDER BY stream_offset DESC LIMIT ?
) n
LEFT JOIN LATERAL (
    SELECT campaign, channel, dedupe_key, counted FROM decisions
    WHERE user_id = n.user_id AND decided_at = n.created_at AND notification_id = n.notification_id LIMIT 1
) d ON true
WHERE n.created_at >= ?
ORDER BY n.user_id, n.stream_offset
