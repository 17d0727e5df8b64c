-- Removes messages that were made and expired before a moment, with the feedback to them; the newest of each user stays.
-- Parameters: moment, twice; most messages.
WITH old AS (
    SELECT n.notification_id
    FROM notifications n
    WHERE n.created_at < ? AND n.expires_at < ?
        AND EXISTS (SELECT FROM notifications m WHERE m.user_id = n.user_id AND m.stream_offset > n.stream_offset)
    ORDER BY n.created_at
    LIMIT ?
),
answers AS (DELETE FROM feedback f USING old WHERE f.notification_id = old.notification_id),
gone AS (DELETE FROM notifications n USING old WHERE n.notification_id = old.notification_id RETURNING 1)
SELECT count(*) FROM gone
