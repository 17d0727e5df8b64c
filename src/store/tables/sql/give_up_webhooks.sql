-- Gives up deliveries that wait for disabled endpoints, or for any since before a moment; what is being sent waits for its end.
-- Parameters: that moment, null = of disabled endpoints only; most rows; the moment again; most rows again.
UPDATE webhook_deliveries SET state = 'failed', finished_at = now()
WHERE delivery_id IN (
    SELECT d.delivery_id
    FROM webhook_endpoints e CROSS JOIN LATERAL (
        SELECT delivery_id FROM webhook_deliveries w
        WHERE w.endpoint_id = e.endpoint_id AND w.state = 'pending' AND w.claimed_until IS NULL
            AND w.due_at < coalesce(?, 'infinity')
        ORDER BY w.due_at LIMIT ?
    ) d
    WHERE e.state = 'disabled' OR ?::timestamptz IS NOT NULL
    LIMIT ?
)
AND state = 'pending' AND claimed_until IS NULL
