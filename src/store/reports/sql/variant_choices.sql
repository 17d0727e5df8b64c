-- Delivered messages whose wording was drawn, the newest first.
-- Parameters: since; most rows.
SELECT d.trigger, coalesce(d.variant, d.alternatives[1]), d.segment,
    EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id AND f.outcome = 2),
    d.variant_propensity
FROM decisions d JOIN notifications n USING (notification_id)
WHERE d.decided_at >= ? AND d.outcome = 'send' AND d.variant_propensity < 1
    AND (EXISTS (SELECT FROM acknowledgements a WHERE a.user_id = n.user_id AND a.up_to >= n.stream_offset)
        OR EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id))
ORDER BY d.decided_at DESC LIMIT ?
