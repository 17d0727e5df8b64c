-- Moves the messages of a merged user into another stream: those that were received, and answers to logins, before it, the
-- others behind it. The frame is empty for what is not sent again.
-- Parameters: the user; the merged one, twice; the user; now.
WITH stream AS (
    SELECT greatest(coalesce(max(stream_offset), 0), 0) AS last, least(coalesce(min(stream_offset), 1), 1) AS first
    FROM notifications WHERE user_id = ?
),
acknowledged AS (SELECT coalesce((SELECT up_to FROM acknowledgements WHERE user_id = ?), 0) AS up_to),
own AS (
    SELECT notification_id, stream_offset, stream_offset <= up_to OR trigger = 'login' AS received
    FROM notifications, acknowledged WHERE user_id = ?
),
placed AS (
    SELECT notification_id, CASE WHEN received
        THEN first - row_number() OVER (PARTITION BY received ORDER BY stream_offset DESC)
        ELSE last + row_number() OVER (PARTITION BY received ORDER BY stream_offset) END AS place
    FROM own, stream
)
UPDATE notifications n SET user_id = ?, stream_offset = p.place
FROM placed p WHERE n.notification_id = p.notification_id
RETURNING n.notification_id, n.stream_offset,
    CASE WHEN n.expires_at > ? AND n.withdrawn_at IS NULL THEN n.frame ELSE '' END
