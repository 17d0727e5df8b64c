-- Claims rows of the outbox of Web Push that are due, the longest due first.
-- Parameters: claimed until; now; now; most rows.
UPDATE push_outbox o SET claimed_until = ?, attempts = o.attempts + 1
FROM (
    SELECT notification_id, subscription_id FROM push_outbox
    WHERE due_at <= ? AND (claimed_until IS NULL OR claimed_until <= ?)
    ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED
) d, push_subscriptions s, notifications n
WHERE o.notification_id = d.notification_id AND o.subscription_id = d.subscription_id
    AND s.subscription_id = o.subscription_id AND n.notification_id = o.notification_id
RETURNING o.notification_id, o.subscription_id, o.user_id, o.attempts, o.expires_at,
    n.withdrawn_at IS NOT NULL OR n.read_at IS NOT NULL OR EXISTS (SELECT FROM feedback f
        WHERE f.notification_id = o.notification_id AND f.outcome IN (1, 2, 3)),
    s.endpoint, s.p256dh, s.auth, n.frame
