-- Messages that named what was bought, within the window before the purchase; the part whose limits the purchases.
-- Parameters: since; the user, where that part asks for one; window in seconds; since.
WITH bought AS MATERIALIZED (
    SELECT DISTINCT user_id, item_id, occurred_at FROM events
    WHERE kind = 5 AND occurred_at >= ? AND item_id IS NOT NULL AND {whose}
),
named AS (
    SELECT DISTINCT n.notification_id
    FROM bought b
    JOIN notifications n ON n.user_id = b.user_id AND n.created_at <= b.occurred_at
        AND n.created_at >= b.occurred_at - make_interval(secs => ?) AND b.item_id = ANY(n.items)
    WHERE n.created_at >= ?
)
SELECT user_id, notification_id, created_at, items
FROM named JOIN notifications USING (notification_id)
ORDER BY user_id, stream_offset
