-- Decisions within the bounds, by time.
-- Parameters: none; the settings tidings.since and tidings.until.
SELECT d.decision_id, d.decided_at, u.external_id AS user_id, d.trigger, d.category, d.outcome,
    to_jsonb(d.reasons) AS reasons, d.notification_id, d.channel, d.campaign, d.call_id,
    coalesce((SELECT jsonb_agg(i.external_id ORDER BY n.place)
        FROM unnest(d.items) WITH ORDINALITY AS n (item_id, place) JOIN items i USING (item_id)), '[]') AS items,
    d.model_version, d.policy_version, chr(65 + d.segment) AS segment, d.propensity, d.until,
    d.p_click, d.p_purchase, d.p_mute, to_jsonb(d.features) AS features, d.slice, d.holdout, d.counted,
    to_jsonb(d.alternatives) AS alternatives, d.variant, d.variant_propensity, d.arms, d.steps, d.inputs
FROM decisions d
LEFT JOIN users u ON u.user_id = d.user_id
WHERE d.decided_at >= current_setting('tidings.since')::timestamptz
    AND d.decided_at < current_setting('tidings.until')::timestamptz
ORDER BY d.decided_at, d.decision_id
