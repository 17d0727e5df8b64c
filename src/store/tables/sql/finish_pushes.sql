-- Removes rows of the outbox of Web Push that have ended and puts the others off. Of a subscription that has moved since, what was
-- refused or put off at the endpoint before is due at the new one now.
-- Parameters: now; messages; subscriptions; endpoints asked; whether each is gone; when each is tried again.
WITH f AS (
    SELECT f.id, f.subscription_id,
        CASE WHEN s.endpoint <> f.endpoint AND (f.gone OR f.retry_at IS NOT NULL) THEN ?
            ELSE f.retry_at END AS retry_at
    FROM unnest(?, ?, ?, ?, ?) AS f (id, subscription_id, endpoint, gone, retry_at)
    LEFT JOIN push_subscriptions s USING (subscription_id)
),
later AS (
    UPDATE push_outbox o SET due_at = f.retry_at, claimed_until = NULL
    FROM f
    WHERE f.retry_at IS NOT NULL AND o.notification_id = f.id AND o.subscription_id = f.subscription_id
)
DELETE FROM push_outbox o USING f
WHERE f.retry_at IS NULL AND o.notification_id = f.id AND o.subscription_id = f.subscription_id
