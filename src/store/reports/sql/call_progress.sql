-- Counts what has become of messages of the shop, by kind and reason.
-- Parameters: ids of the calls, four times.
WITH sent AS (
    SELECT n.call_id, count(*) AS users FROM notifications n WHERE n.call_id = ANY(?) GROUP BY n.call_id
),
answered AS (
    SELECT n.call_id, f.outcome, count(*) AS users
    FROM notifications n JOIN feedback f USING (notification_id)
    WHERE n.call_id = ANY(?) AND f.outcome IN (1, 2) GROUP BY n.call_id, f.outcome
),
-- The last word about each user who has no message.
decided AS (
    SELECT DISTINCT ON (d.call_id, d.user_id) d.call_id, d.outcome, d.steps
    FROM decisions d
    WHERE d.call_id = ANY(?)
        AND NOT EXISTS (SELECT FROM notifications n WHERE n.call_id = d.call_id AND n.user_id = d.user_id)
        AND (d.notification_id IS NULL
            OR NOT EXISTS (SELECT FROM notifications n WHERE n.notification_id = d.notification_id))
    ORDER BY d.call_id, d.user_id, d.decided_at DESC, d.decision_id DESC
)
SELECT call_id, 'sent', '', users FROM sent
UNION ALL
SELECT call_id, CASE outcome WHEN 1 THEN 'displayed' ELSE 'clicked' END, '', users FROM answered
UNION ALL
SELECT call_id, 'deferred', '', count(*) FROM decided WHERE outcome = 'defer' GROUP BY call_id
UNION ALL
SELECT call_id, 'refused', coalesce(reason, 'unknown'), count(*)
FROM decided LEFT JOIN LATERAL (
    SELECT s.value->>'reason' AS reason FROM jsonb_array_elements(steps) WITH ORDINALITY s
    WHERE s.value->>'verdict' = 'stop' ORDER BY s.ordinality DESC LIMIT 1
) last ON true
WHERE outcome = 'drop' GROUP BY call_id, 3
UNION ALL
-- Further ids of people who have the message under another.
SELECT d.call_id, 'refused', r.reason, count(*)
FROM decisions d CROSS JOIN (VALUES ('said_before'), ('waits_already')) r (reason)
WHERE d.call_id = ANY(?) AND d.outcome = 'drop'
    AND d.steps @> jsonb_build_array(jsonb_build_object('verdict', 'stop', 'reason', r.reason))
    AND EXISTS (SELECT FROM notifications n WHERE n.call_id = d.call_id AND n.user_id = d.user_id)
GROUP BY d.call_id, r.reason
