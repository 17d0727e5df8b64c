-- Changes items that are there and makes them active; an absent field keeps what is stored.
-- Parameters: array of items as JSON.
UPDATE items
SET title = coalesce(n.title, items.title), category = coalesce(n.category, items.category),
    tags = coalesce(n.tags, items.tags), price = coalesce(n.price, items.price),
    currency = coalesce(n.currency, items.currency), stock = coalesce(n.stock, items.stock),
    url = coalesce(n.url, items.url), image_url = coalesce(n.image_url, items.image_url),
    attributes = coalesce(n.attributes, items.attributes), consumable = coalesce(n.consumable, items.consumable),
    active = true, updated_at = now()
FROM jsonb_to_recordset(?) AS n (item_id text, title text, category text[], tags text[], price double precision,
    currency text, stock integer, url text, image_url text, attributes jsonb, consumable boolean)
WHERE items.external_id = n.item_id
