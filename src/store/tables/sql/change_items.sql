-- Changes items that are there by the rows of `loaded_items`, and names those that are different now; an absent field keeps what is stored.
-- Parameters: none.
UPDATE items
SET title = n.title, category = n.category, tags = n.tags, price = n.price, currency = n.currency, stock = n.stock,
    url = n.url, image_url = n.image_url, attributes = n.attributes, consumable = n.consumable,
    embedding = n.embedding, translations = n.translations, prices = n.prices, updated_at = now()
FROM (
    SELECT o.item_id, coalesce(g.title, o.title) AS title, coalesce(g.category, o.category) AS category,
        coalesce(g.tags, o.tags) AS tags, coalesce(g.price, o.price) AS price,
        coalesce(g.currency, o.currency) AS currency, coalesce(g.stock, o.stock) AS stock,
        coalesce(g.url, o.url) AS url, coalesce(g.image_url, o.image_url) AS image_url,
        coalesce(g.attributes, o.attributes) AS attributes, coalesce(g.consumable, o.consumable) AS consumable,
        coalesce(g.embedding, o.embedding) AS embedding, coalesce(g.translations, o.translations) AS translations,
        coalesce(g.prices, o.prices) AS prices
    FROM loaded_items g
    JOIN items o ON o.external_id = g.item_id
) AS n
WHERE items.item_id = n.item_id
    AND (items.title, items.category, items.tags, items.price, items.currency, items.stock, items.url,
        items.image_url, items.attributes, items.consumable, items.embedding, items.translations, items.prices)
    IS DISTINCT FROM (n.title, n.category, n.tags, n.price, n.currency, n.stock, n.url,
        n.image_url, n.attributes, n.consumable, n.embedding, n.translations, n.prices)
RETURNING items.item_id
