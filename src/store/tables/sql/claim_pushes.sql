-- Claims due rows of one push service: an equal part for each of the next users who have some, the longest due first.
-- Parameters: service; now; after this user; service; now; most users; claimed until; service; now; most rows; now.
WITH RECURSIVE found AS (
    (SELECT user_id FROM push_outbox
        WHERE claimed_until IS NULL AND service = ? AND due_at <= ? AND user_id > ?
        ORDER BY user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.user_id FROM push_outbox o
        WHERE o.claimed_until IS NULL AND o.service = ? AND o.due_at <= ? AND o.user_id > f.user_id
        ORDER BY o.user_id LIMIT 1)
    FROM found f WHERE f.user_id IS NOT NULL
),
waiting AS (SELECT user_id FROM found WHERE user_id IS NOT NULL LIMIT ?)
UPDATE push_outbox o SET claimed_until = ?, attempts = o.attempts + 1
FROM (
    SELECT p.notification_id, p.subscription_id
    FROM waiting w CROSS JOIN LATERAL (
        SELECT q.notification_id, q.subscription_id FROM push_outbox q
        WHERE q.claimed_until IS NULL AND q.service = ? AND q.user_id = w.user_id AND q.due_at <= ?
        ORDER BY q.due_at LIMIT ? / greatest(1, (SELECT count(*) FROM waiting)) FOR UPDATE SKIP LOCKED
    ) p
) d, push_subscriptions s, notifications n
WHERE o.notification_id = d.notification_id AND o.subscription_id = d.subscription_id
    AND s.subscription_id = o.subscription_id AND n.notification_id = o.notification_id
RETURNING o.notification_id, o.subscription_id, o.user_id, o.attempts, o.expires_at,
    -- Of one that was snoozed, what was done since it came back.
    n.withdrawn_at IS NOT NULL OR n.archived_at IS NOT NULL OR coalesce(n.snoozed_until > ?, false)
        OR coalesce(n.read_at >= coalesce(n.snoozed_until, '-infinity'), false)
        OR EXISTS (SELECT FROM feedback f WHERE f.notification_id = o.notification_id AND f.outcome IN (1, 2, 3)
            AND f.occurred_at >= coalesce(n.snoozed_until, '-infinity')),
    o.service, s.endpoint, s.p256dh, s.auth, n.frame
