-- The newest events of each user, the oldest first.
-- Parameters: users; most events a user.
SELECT e.occurred_at, e.user_id, e.item_id, e.kind, e.dwell_ms, e.quantity, e.value, e.currency, e.basket
FROM (SELECT DISTINCT user_id FROM unnest(?) AS asked (user_id)) u
CROSS JOIN LATERAL (
    SELECT occurred_at, received_at, event_key, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket
    FROM events
    WHERE user_id = u.user_id
    ORDER BY occurred_at DESC, received_at DESC, event_key DESC LIMIT ?
) e
ORDER BY e.occurred_at, e.received_at, e.event_key
