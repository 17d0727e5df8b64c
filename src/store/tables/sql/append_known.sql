-- Appends events whose users and items all have ids, and nothing otherwise; the part given is the batch as rows of g.
-- Parameters: the columns of the batch.
WITH given AS MATERIALIZED (
    SELECT g.*, (SELECT coalesce(merged_into, user_id) AS user_id FROM users WHERE external_id = user_name),
        (SELECT item_id FROM items WHERE external_id = item_name)
    FROM {given}
),
known AS MATERIALIZED (
    SELECT bool_and((user_name IS NULL OR user_id IS NOT NULL) AND (item_name IS NULL OR item_id IS NOT NULL))
        AS all_of_them
    FROM given
),
fresh AS (
    INSERT INTO event_receipts (event_key)
    SELECT key FROM given, known WHERE once AND all_of_them ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING event_key
),
written AS (
    INSERT INTO events (event_key, occurred_at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket, query, list_id)
    SELECT key, at, user_id, item_id, kind, dwell_ms, quantity, value, currency, basket, query, list_id
    FROM given, known
    WHERE all_of_them AND (NOT once OR key IN (SELECT event_key FROM fresh))
    ON CONFLICT DO NOTHING
    RETURNING event_key, user_id, item_id
)
SELECT all_of_them, event_key, user_id, item_id FROM known LEFT JOIN written ON true
