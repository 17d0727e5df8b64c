-- Adds the items of `loaded_items` that nobody has made in the meantime, and names them.
-- Parameters: none.
INSERT INTO items (external_id, title, category, tags, price, currency, stock, url, image_url, attributes, consumable)
SELECT item_id, title, coalesce(category, '{}'), coalesce(tags, '{}'), price, currency, stock, url, image_url,
    coalesce(attributes, '{}'), coalesce(consumable, false)
FROM loaded_items
ORDER BY item_id COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING external_id, item_id
