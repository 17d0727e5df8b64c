-- Removes items that only events have named and that no event names any more, and names them. What the shop has described meanwhile
-- stays.
-- Parameters: inner ids of the items.
DELETE FROM items i
WHERE item_id = ANY(?)
    AND title IS NULL AND category = '{}' AND tags = '{}' AND price IS NULL AND stock IS NULL AND url IS NULL
    AND image_url IS NULL AND attributes = '{}'
    AND NOT EXISTS (SELECT FROM events e WHERE e.item_id = i.item_id)
RETURNING item_id
