-- Events within the bounds, by time; the last column says whose key the words of a search are under, and is not exported. An event without a name for its kind is of a newer version and has a null there.
-- Parameters: none; the settings tidings.since and tidings.until. Put in: codes and names of the kinds.
SELECT e.event_key, k.name AS kind, u.external_id AS user_id, i.external_id AS item_id, e.occurred_at, e.received_at,
    e.dwell_ms, e.quantity, e.value, e.currency, e.basket::text AS basket, e.query, e.list_id, e.user_id AS owner
FROM events e
LEFT JOIN users u ON u.user_id = e.user_id
LEFT JOIN items i ON i.item_id = e.item_id
LEFT JOIN (
    SELECT * FROM (VALUES {kinds}) AS v (code, name) UNION ALL SELECT code, name FROM event_kinds
) AS k ON k.code = e.kind
WHERE e.occurred_at >= current_setting('tidings.since')::timestamptz
    AND e.occurred_at < current_setting('tidings.until')::timestamptz
ORDER BY e.occurred_at, e.event_key
