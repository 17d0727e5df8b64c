-- Notes on subscriptions how their requests went, and ends those that are gone or were refused too often: which, and whose. One
-- that has moved to another endpoint since is left as it is.
-- Parameters: subscriptions; endpoints asked; whether each was sent; whether it failed; its status if refused; its status if gone;
-- most refusals; now; now.
WITH f AS (
    SELECT subscription_id, endpoint, bool_or(sent) AS sent, count(*) FILTER (WHERE failed)::integer AS failed,
        max(refused) AS refused, max(gone) AS gone
    FROM unnest(?, ?, ?, ?, ?, ?) AS f (subscription_id, endpoint, sent, failed, refused, gone)
    GROUP BY 1, 2
),
noted AS (
    SELECT f.*, CASE WHEN f.sent THEN 0 WHEN f.refused IS NULL THEN s.refusals ELSE s.refusals + 1 END AS refusals
    FROM f JOIN push_subscriptions s USING (subscription_id, endpoint)
),
ends AS (
    SELECT *, CASE WHEN gone IS NOT NULL THEN 'gone ' || gone
        WHEN refused IS NOT NULL AND refusals >= ? THEN 'refused ' || refused END AS reason
    FROM noted
),
changed AS (
    UPDATE push_subscriptions s SET failures = CASE WHEN e.sent THEN 0 ELSE s.failures + e.failed END,
        refusals = e.refusals, last_success_at = CASE WHEN e.sent THEN ? ELSE s.last_success_at END,
        ended_at = CASE WHEN e.reason IS NULL THEN s.ended_at ELSE coalesce(s.ended_at, ?) END,
        end_reason = coalesce(s.end_reason, e.reason)
    FROM ends e
    WHERE s.subscription_id = e.subscription_id
    RETURNING s.subscription_id, s.user_id, e.reason
)
SELECT subscription_id, user_id FROM changed WHERE reason IS NOT NULL
