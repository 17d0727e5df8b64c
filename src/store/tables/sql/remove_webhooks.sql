-- Removes deliveries of removed endpoints, with their attempts.
-- Parameters: most rows, twice.
DELETE FROM webhook_deliveries
WHERE delivery_id IN (
    SELECT d.delivery_id
    FROM webhook_endpoints e CROSS JOIN LATERAL (
        SELECT delivery_id FROM webhook_deliveries w WHERE w.endpoint_id = e.endpoint_id LIMIT ?
    ) d
    WHERE e.removed_at IS NOT NULL
    LIMIT ?
)
