-- Changes items that are there and makes them active; an absent field keeps what is stored, one that is cleared has no value.
-- Parameters: array of items as JSON.
UPDATE items
SET title = coalesce(n.title, CASE WHEN 'title' = ANY(n.cleared) THEN NULL ELSE items.title END),
    category = coalesce(n.category, CASE WHEN 'category' = ANY(n.cleared) THEN '{}' ELSE items.category END),
    tags = coalesce(n.tags, CASE WHEN 'tags' = ANY(n.cleared) THEN '{}' ELSE items.tags END),
    price = coalesce(n.price, CASE WHEN 'price' = ANY(n.cleared) THEN NULL ELSE items.price END),
    currency = coalesce(n.currency, CASE WHEN 'currency' = ANY(n.cleared) THEN NULL ELSE items.currency END),
    stock = coalesce(n.stock, CASE WHEN 'stock' = ANY(n.cleared) THEN NULL ELSE items.stock END),
    url = coalesce(n.url, CASE WHEN 'url' = ANY(n.cleared) THEN NULL ELSE items.url END),
    image_url = coalesce(n.image_url, CASE WHEN 'image_url' = ANY(n.cleared) THEN NULL ELSE items.image_url END),
    attributes = coalesce(n.attributes, CASE WHEN 'attributes' = ANY(n.cleared) THEN '{}' ELSE items.attributes END),
    consumable = coalesce(n.consumable, CASE WHEN 'consumable' = ANY(n.cleared) THEN false ELSE items.consumable END),
    embedding = coalesce(n.embedding, CASE WHEN 'embedding' = ANY(n.cleared) THEN NULL ELSE items.embedding END),
    translations = coalesce(n.translations, CASE WHEN 'translations' = ANY(n.cleared) THEN '{}' ELSE items.translations END),
    prices = coalesce(n.prices, CASE WHEN 'prices' = ANY(n.cleared) THEN '{}' ELSE items.prices END),
    active = true, updated_at = now()
FROM jsonb_to_recordset(?) AS n (item_id text, title text, category text[], tags text[], price double precision,
    currency text, stock integer, url text, image_url text, attributes jsonb, consumable boolean, embedding real[],
    translations jsonb, prices jsonb, cleared text[])
WHERE items.external_id = n.item_id
