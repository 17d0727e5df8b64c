-- Recipients of broadcasts at a wall time: one that was merged gives way to the user, who gets each once.
-- Parameters: id of the merged user; id of the user.
WITH gone AS (
    DELETE FROM broadcast_recipients r USING broadcasts b
    WHERE b.local_at IS NOT NULL AND b.state IN ('scheduled', 'paused')
        AND r.broadcast_id = b.broadcast_id AND r.external_id = ?
    RETURNING r.broadcast_id, r.is_released
)
INSERT INTO broadcast_recipients AS r (broadcast_id, external_id, is_released)
SELECT broadcast_id, ?, is_released FROM gone
ON CONFLICT (broadcast_id, external_id) DO UPDATE SET is_released = r.is_released OR excluded.is_released
