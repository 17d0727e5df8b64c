-- Unread messages that came back from a snooze, about which nothing is decided, of users with a subscription.
-- Parameters: now; back after this; now; triggers that are not pushed; most rows.
SELECT u.external_id, n.notification_id, n.kind, n.category, n.trigger, n.priority, n.expires_at
FROM notifications n JOIN users u USING (user_id)
WHERE n.snoozed_until <= ? AND n.snoozed_until > ? AND n.expires_at > ?
    AND n.withdrawn_at IS NULL AND n.archived_at IS NULL
    AND (n.returned_at IS NULL OR n.returned_at < n.snoozed_until)
    AND (n.read_at IS NULL OR n.read_at < n.snoozed_until)
    AND NOT n.trigger = ANY(?)
    AND EXISTS (SELECT FROM push_subscriptions s WHERE s.user_id = n.user_id AND s.ended_at IS NULL)
ORDER BY n.snoozed_until LIMIT ?
