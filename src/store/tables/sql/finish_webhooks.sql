-- Logs attempts of webhooks and moves their deliveries on. One that was given up or replayed meanwhile keeps what was decided then.
-- Parameters: deliveries; when each attempt began; milliseconds; statuses; answers; states; when each is tried again; now.
WITH done AS (
    SELECT d.* FROM unnest(?, ?, ?, ?, ?, ?, ?) AS d (delivery_id, at, took_ms, status, answer, state, due_at)
    JOIN webhook_deliveries USING (delivery_id)
),
logged AS (
    INSERT INTO webhook_attempts (delivery_id, at, took_ms, status, answer)
    SELECT delivery_id, at, took_ms, status, answer FROM done ORDER BY at
)
UPDATE webhook_deliveries w SET
    state = done.state,
    due_at = done.due_at,
    claimed_until = NULL,
    finished_at = CASE WHEN done.state <> 'pending' THEN ?::timestamptz END
FROM done
WHERE w.delivery_id = done.delivery_id AND (w.claimed_until IS NOT NULL OR done.state = 'delivered')
