-- Purchases and returns of users since a moment, and all before it of an item that its user has returned since.
-- Parameters: the moment; users; the moment.
WITH recent AS MATERIALIZED (
    SELECT user_id, item_id, kind, occurred_at, quantity, value, currency, basket
    FROM events
    WHERE kind IN (5, 6) AND occurred_at >= ? AND user_id = ANY(?) AND item_id IS NOT NULL
),
returned AS (SELECT DISTINCT user_id, item_id FROM recent WHERE kind = 6)
SELECT user_id, item_id, kind, occurred_at, quantity, value, currency, basket
FROM recent
UNION ALL
SELECT e.user_id, e.item_id, e.kind, e.occurred_at, e.quantity, e.value, e.currency, e.basket
FROM returned
JOIN events e USING (user_id, item_id)
WHERE e.kind IN (5, 6) AND e.occurred_at < ?
