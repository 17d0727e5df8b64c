-- Defers a trigger for users with a push subscription who were last here between two moments, once for each absence.
-- Parameters: trigger; category; until; expires at; last here at the latest; last here after; trigger; trigger;
-- length of the absence in ms; trigger; length of the absence in ms; most users.
INSERT INTO held_messages (held_id, user_id, trigger, category, for_digest, until, expires_at)
SELECT gen_random_uuid(), s.user_id, ?, ?, false, ?, ?
FROM (SELECT DISTINCT user_id FROM push_subscriptions WHERE ended_at IS NULL) s
JOIN users u USING (user_id)
CROSS JOIN LATERAL (
    SELECT greatest(max(occurred_at), u.last_connected_at) AS at FROM events e WHERE e.user_id = s.user_id
) AS seen
WHERE NOT u.is_robot AND seen.at <= ? AND seen.at > ?
    AND NOT EXISTS (SELECT FROM held_messages h WHERE h.user_id = s.user_id AND h.trigger = ?)
    AND NOT EXISTS (SELECT FROM decisions d WHERE d.user_id = s.user_id AND d.trigger = ?
        AND d.decided_at >= seen.at + ? * interval '1 millisecond')
    AND NOT EXISTS (SELECT FROM user_once o WHERE o.user_id = s.user_id AND o.trigger = ?
        AND o.fired_at >= seen.at + ? * interval '1 millisecond')
LIMIT ?
