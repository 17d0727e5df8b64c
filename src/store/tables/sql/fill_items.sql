-- Fills what items that are there lack from the rows of `loaded_items`, and names those that are different now; whatever is stored stays. A currency comes with
-- its price only.
-- Parameters: none.
UPDATE items
SET title = n.title, category = n.category, tags = n.tags, price = n.price, currency = n.currency, stock = n.stock,
    url = n.url, image_url = n.image_url, attributes = n.attributes, embedding = n.embedding,
    translations = n.translations, prices = n.prices, updated_at = now()
FROM (
    SELECT o.item_id, coalesce(o.title, g.title) AS title,
        coalesce(nullif(o.category, '{}'), g.category, '{}') AS category,
        coalesce(nullif(o.tags, '{}'), g.tags, '{}') AS tags, coalesce(o.price, g.price) AS price,
        CASE WHEN o.price IS NULL THEN coalesce(o.currency, g.currency) ELSE o.currency END AS currency,
        coalesce(o.stock, g.stock) AS stock, coalesce(o.url, g.url) AS url,
        coalesce(o.image_url, g.image_url) AS image_url,
        coalesce(nullif(o.attributes, '{}'), g.attributes, '{}') AS attributes,
        coalesce(o.embedding, g.embedding) AS embedding,
        coalesce(g.translations, '{}') || o.translations AS translations, coalesce(g.prices, '{}') || o.prices AS prices
    FROM loaded_items g
    JOIN items o ON o.external_id = g.item_id
) AS n
WHERE items.item_id = n.item_id
    AND (items.title, items.category, items.tags, items.price, items.currency, items.stock, items.url,
        items.image_url, items.attributes, items.embedding, items.translations, items.prices)
    IS DISTINCT FROM (n.title, n.category, n.tags, n.price, n.currency, n.stock, n.url, n.image_url, n.attributes,
        n.embedding, n.translations, n.prices)
RETURNING items.item_id
