-- Notes kinds of the shop's own; new names take the next free codes.
-- Parameters: names; weights; whether each names an item.
WITH wanted AS (
    SELECT * FROM unnest(?, ?, ?) AS w (name, weight, needs_item)
),
fresh AS (
    SELECT name, row_number() OVER (ORDER BY name) AS place
    FROM wanted WHERE name NOT IN (SELECT name FROM event_kinds)
)
INSERT INTO event_kinds (code, name, weight, needs_item)
SELECT coalesce((SELECT code FROM event_kinds k WHERE k.name = w.name),
        (SELECT coalesce(max(code), 99) FROM event_kinds) + (SELECT place FROM fresh f WHERE f.name = w.name))::smallint,
    name, weight, needs_item
FROM wanted w
ON CONFLICT (name) DO UPDATE SET weight = excluded.weight, needs_item = excluded.needs_item
WHERE (event_kinds.weight, event_kinds.needs_item) IS DISTINCT FROM (excluded.weight, excluded.needs_item)
