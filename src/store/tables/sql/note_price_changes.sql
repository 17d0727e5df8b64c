-- Adds a row for each item whose price or currency is another one than the last written, and returns both.
-- Parameters: items; now.
WITH changed AS MATERIALIZED (
    SELECT i.item_id, i.price, i.currency, last.at AS last_at, last.price AS last_price, last.currency AS last_currency
    FROM items i
    LEFT JOIN LATERAL (
        SELECT p.at, p.price, p.currency FROM item_prices p WHERE p.item_id = i.item_id ORDER BY p.at DESC LIMIT 1
    ) AS last ON true
    WHERE i.item_id = ANY(?) AND i.price IS NOT NULL
        AND (last.at IS NULL OR (last.price, last.currency) IS DISTINCT FROM (i.price, i.currency))
),
written AS (
    INSERT INTO item_prices (item_id, at, price, currency)
    -- A clock that was set back must not write a row before the last one.
    SELECT item_id, greatest(?, last_at + interval '1 microsecond'), price, currency FROM changed
    RETURNING item_id, at, price, currency
)
SELECT item_id, last_at, last_price, last_currency FROM changed WHERE last_at IS NOT NULL
UNION ALL SELECT item_id, at, price, currency FROM written
