-- Adds the items of `loaded_items` that nobody has made in the meantime, notes their first prices, and names them.
-- Parameters: now.
WITH made AS (
    INSERT INTO items (external_id, title, category, tags, price, currency, stock, url, image_url, attributes, consumable,
        embedding, translations, prices)
    SELECT item_id, title, coalesce(category, '{}'), coalesce(tags, '{}'), price, currency, stock, url, image_url,
        coalesce(attributes, '{}'), coalesce(consumable, false), embedding, coalesce(translations, '{}'),
        coalesce(prices, '{}')
    FROM loaded_items
    ORDER BY item_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING external_id, item_id, price, currency, created_at
),
priced AS (
    INSERT INTO item_prices (item_id, at, price, currency)
    SELECT item_id, ?, price, currency FROM made WHERE price IS NOT NULL
)
SELECT external_id, item_id, created_at FROM made
