-- Changes the channel of messages that pages were given and nobody saw, and puts them into the outbox of Web Push.
-- Parameters: users; offset up to which each saw; due at; now; created after; triggers that are not pushed.
WITH moved AS (
    UPDATE notifications n SET channel = 1
    FROM unnest(?, ?, ?) AS h (user_id, seen_up_to, due_at)
    WHERE n.user_id = h.user_id AND n.channel = 0 AND n.expires_at > ? AND n.created_at > ?
        AND n.stream_offset > least(h.seen_up_to,
            coalesce((SELECT up_to FROM acknowledgements a WHERE a.user_id = n.user_id), 0))
        AND NOT n.trigger = ANY(?)
        AND n.withdrawn_at IS NULL AND n.read_at IS NULL AND n.archived_at IS NULL AND n.snoozed_until IS NULL
        AND EXISTS (SELECT FROM push_subscriptions s WHERE s.user_id = n.user_id AND s.ended_at IS NULL)
        AND NOT EXISTS (SELECT FROM feedback f
            WHERE f.notification_id = n.notification_id AND f.outcome IN (1, 2, 3))
    RETURNING n.notification_id, n.user_id, h.due_at, n.expires_at
)
INSERT INTO push_outbox (notification_id, subscription_id, user_id, due_at, expires_at, service)
SELECT m.notification_id, s.subscription_id, m.user_id, m.due_at, m.expires_at, s.service
FROM moved m JOIN push_subscriptions s ON s.user_id = m.user_id AND s.ended_at IS NULL
ON CONFLICT DO NOTHING
