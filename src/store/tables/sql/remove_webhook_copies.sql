-- Removes deliveries of webhooks whose payload names one of some users.
-- Parameters: ids as texts; path in the JSON of a payload; its variables.
DELETE FROM webhook_deliveries d
WHERE EXISTS (SELECT FROM unnest(?) AS t (name) WHERE position(t.name IN d.payload) > 0)
    AND jsonb_path_exists(d.payload::jsonb, CAST(? AS jsonpath), ?)
