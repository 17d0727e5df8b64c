-- The latest messages decided, each with its features and how long after the decision it was clicked, bought from or muted.
-- Parameters: since; most messages.
SELECT d.notification_id, d.decided_at, d.trigger, d.category, d.segment, d.features, f.clicked, f.purchased, f.muted
FROM (
    SELECT * FROM decisions
    WHERE outcome = 'send' AND decided_at >= ?
        AND NOT EXISTS (SELECT FROM users u WHERE u.user_id = decisions.user_id AND u.is_robot)
    ORDER BY decided_at DESC, decision_id DESC LIMIT ?
) d
LEFT JOIN LATERAL (
    SELECT min(ms) FILTER (WHERE outcome = 2) AS clicked,
        min(ms) FILTER (WHERE outcome = 4 AND ms >= 0) AS purchased,
        min(ms) FILTER (WHERE outcome = 5) AS muted
    FROM (
        SELECT outcome, (extract(epoch FROM occurred_at - d.decided_at) * 1000)::bigint AS ms
        FROM feedback WHERE notification_id = d.notification_id
    ) o
) f ON true
ORDER BY d.decided_at DESC, d.decision_id DESC
