-- Notes that it is decided about messages that came back from a snooze, and puts those with a moment into the outbox of Web Push.
-- Parameters: messages; moment of each decision; not pushed before, null = not pushed.
WITH settled AS (
    UPDATE notifications n SET returned_at = r.at
    FROM unnest(?, ?, ?) AS r (notification_id, at, push_at)
    WHERE n.notification_id = r.notification_id AND (n.returned_at IS NULL OR n.returned_at < n.snoozed_until)
    RETURNING n.notification_id, n.user_id, r.push_at, n.expires_at
)
INSERT INTO push_outbox (notification_id, subscription_id, user_id, due_at, expires_at, service)
SELECT r.notification_id, s.subscription_id, r.user_id, r.push_at, r.expires_at, s.service
FROM settled r JOIN push_subscriptions s ON s.user_id = r.user_id AND s.ended_at IS NULL
WHERE r.push_at IS NOT NULL
ON CONFLICT DO NOTHING
