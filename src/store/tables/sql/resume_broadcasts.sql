-- Resumes paused broadcasts: to wait for their time, or to go on.
-- Parameters: now; now; ids.
UPDATE broadcasts SET
    state = CASE
        WHEN due_at > ? OR local_at IS NOT NULL THEN 'scheduled'
        -- A segment or everyone whose time came meanwhile is read when it is released.
        WHEN users = 0 AND cardinality(batches) = 0 THEN 'scheduled'
        ELSE 'sent'
    END,
    rate_used_until = CASE WHEN rate_per_minute IS NOT NULL THEN ?::timestamptz END,
    changed_at = now()
WHERE broadcast_id = ANY(?) AND state = 'paused'
