-- Puts credited purchases into the outbox of webhooks, each once; the lines of one purchase of one item at one moment are one.
-- Parameters: ids; messages; users; items; when each was bought; quantities; values.
INSERT INTO webhook_deliveries (endpoint_id, message_id, event, payload)
SELECT e.endpoint_id, m.id, 'message.converted', m.payload
FROM (
    SELECT c.id, webhook_payload('message.converted', c.at, jsonb_build_object(
        'notification_id', c.message, 'user_id', webhook_id(u.external_id), 'item_id', webhook_id(i.external_id),
        'category', n.category, 'trigger', n.trigger, 'call_id', n.call_id, 'source', 'purchase',
        'quantity', c.quantity, 'value', c.value, 'currency', v.currency)) AS payload
    FROM unnest(?, ?, ?, ?, ?, ?, ?) AS c (id, message, user_id, item_id, at, quantity, value)
    JOIN users u ON u.user_id = c.user_id
    JOIN items i ON i.item_id = c.item_id
    JOIN notifications n ON n.notification_id = c.message
    LEFT JOIN LATERAL (
        SELECT currency FROM events
        WHERE events.user_id = c.user_id AND events.occurred_at = c.at AND events.item_id = c.item_id AND kind = 5 LIMIT 1
    ) v ON true
) m
JOIN webhook_endpoints e ON e.state = 'active' AND 'message.converted' = ANY(e.events)
ON CONFLICT (message_id, endpoint_id) DO NOTHING
