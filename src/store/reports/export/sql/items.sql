-- Items changed within the bounds, in the order in which they came.
-- Parameters: none; the settings tidings.since and tidings.until.
SELECT external_id AS item_id, title, to_jsonb(category) AS category, to_jsonb(tags) AS tags, price, currency, stock, url,
    image_url, attributes, consumable, to_jsonb(embedding) AS embedding,
    translations, prices, active, created_at, updated_at
FROM items
WHERE updated_at >= current_setting('tidings.since')::timestamptz
    AND updated_at < current_setting('tidings.until')::timestamptz
ORDER BY items.item_id
