-- Changes an endpoint of webhooks; what is null stays. One that is active again has not failed yet.
-- Parameters: address; description; events; whether it is active; who changes it; the endpoint.
WITH said AS (SELECT ?::text AS url, ?::text AS description, ?::text[] AS events, ?::boolean AS active)
UPDATE webhook_endpoints e SET
    url = coalesce(said.url, e.url),
    description = coalesce(said.description, e.description),
    events = coalesce(said.events, e.events),
    state = CASE said.active WHEN true THEN 'active' WHEN false THEN 'disabled' ELSE e.state END,
    disabled_reason = CASE said.active WHEN true THEN NULL WHEN false THEN 'disabled by hand' ELSE e.disabled_reason END,
    failing_since = CASE WHEN said.active THEN NULL ELSE e.failing_since END,
    changed_at = now(),
    changed_by = ?
FROM said WHERE e.endpoint_id = ? AND e.removed_at IS NULL
