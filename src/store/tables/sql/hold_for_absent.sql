-- Defers a message for absent users who looked at an item, carted or liked it within 30 days and have not bought it.
-- Parameters: trigger; category; item; price before; until; expires at; item; kinds of events; until; most users;
-- users who are present; item; trigger; item; until.
INSERT INTO held_messages (held_id, user_id, trigger, category, item_id, price_before, for_digest, until, expires_at)
SELECT gen_random_uuid(), e.user_id, ?, ?, ?, ?, false, ?, ?
FROM (
    SELECT user_id FROM events
    WHERE item_id = ? AND user_id IS NOT NULL AND kind = ANY(?) AND occurred_at > ? - interval '30 days'
    GROUP BY user_id ORDER BY max(occurred_at) DESC LIMIT ?
) AS e
WHERE EXISTS (SELECT FROM users u WHERE u.user_id = e.user_id)
    AND e.user_id <> ALL(?)
    AND NOT EXISTS (SELECT FROM events b WHERE b.user_id = e.user_id AND b.item_id = ? AND b.kind = 5)
    AND NOT EXISTS (SELECT FROM held_messages h WHERE h.user_id = e.user_id AND h.trigger = ? AND h.item_id = ?
        AND NOT h.for_digest AND h.expires_at > ?)
