-- Notes which endpoints took something and which did not, and disables those that are gone or have taken nothing for too long. Those,
-- each with its reason.
-- Parameters: endpoints that took something; those that are gone; those that failed; now; disabled if failing since before this.
WITH said AS (SELECT ?::uuid[] AS took, ?::uuid[] AS gone, ?::uuid[] AS failed, ?::timestamptz AS now, ?::timestamptz AS before),
noted AS (
    SELECT e.endpoint_id, e.endpoint_id = ANY(said.gone) AS is_gone,
        CASE WHEN e.endpoint_id = ANY(said.took) THEN NULL ELSE coalesce(e.failing_since, said.now) END AS failing_since
    FROM webhook_endpoints e, said
    WHERE e.state = 'active' AND (e.endpoint_id = ANY(said.took) OR e.endpoint_id = ANY(said.failed))
),
changed AS (
    UPDATE webhook_endpoints e SET
        failing_since = n.failing_since,
        state = CASE WHEN n.is_gone OR n.failing_since < said.before THEN 'disabled' ELSE e.state END,
        disabled_reason = CASE WHEN n.is_gone THEN 'it answered 410 Gone'
            WHEN n.failing_since < said.before THEN 'nothing was delivered since ' || webhook_time(n.failing_since) END
    FROM noted n, said
    -- It may have been switched off while this waited for its row.
    WHERE e.endpoint_id = n.endpoint_id AND e.state = 'active'
        AND (n.is_gone OR e.failing_since IS DISTINCT FROM n.failing_since OR n.failing_since < said.before)
    RETURNING e.endpoint_id, e.state, e.disabled_reason
)
SELECT endpoint_id, disabled_reason FROM changed WHERE state = 'disabled'
