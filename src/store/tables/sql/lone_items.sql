-- Items that only events have named, of which those of some users may be the only ones.
-- Parameters: inner ids of the users.
SELECT DISTINCT i.item_id
FROM events e
JOIN items i USING (item_id)
WHERE e.user_id = ANY(?)
    AND i.title IS NULL AND i.category = '{}' AND i.tags = '{}' AND i.price IS NULL AND i.stock IS NULL AND i.url IS NULL
    AND i.image_url IS NULL AND i.attributes = '{}'
