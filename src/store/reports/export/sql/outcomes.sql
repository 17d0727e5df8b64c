-- Messages created within the bounds, by time, each with what came of it. A client's own report of a conversion counts where no
-- purchase is credited to the message.
-- Parameters: none; the settings tidings.since and tidings.until, and the temporary table exported_credits.
SELECT n.notification_id, n.created_at, u.external_id AS user_id, n.kind, n.category, n.trigger,
    (ARRAY['socket', 'push', 'inbox'])[n.channel + 1] AS channel, n.call_id,
    coalesce((SELECT jsonb_agg(i.external_id ORDER BY x.place)
        FROM unnest(n.items) WITH ORDINALITY AS x (item_id, place) JOIN items i USING (item_id)), '[]') AS items,
    n.model_version, chr(65 + n.segment) AS segment, n.expires_at, n.given_at,
    coalesce(a.up_to >= n.stream_offset, false) OR f.reports > 0 OR c.notification_id IS NOT NULL AS delivered,
    n.seen_at, n.read_at, n.archived_at, n.withdrawn_at, n.withdrawn_reason,
    f.displayed_at, f.clicked_at, f.dismissed_at, f.liked_at, f.disliked_at, f.muted_at,
    coalesce(c.kept, f.converted, false) AS converted,
    coalesce(c.revenue, f.revenue) AS revenue
FROM notifications n
LEFT JOIN users u ON u.user_id = n.user_id
LEFT JOIN acknowledgements a ON a.user_id = n.user_id
LEFT JOIN pg_temp.exported_credits c ON c.notification_id = n.notification_id
LEFT JOIN LATERAL (
    SELECT count(*) AS reports,
        min(occurred_at) FILTER (WHERE outcome = 1) AS displayed_at,
        min(occurred_at) FILTER (WHERE outcome = 2) AS clicked_at,
        min(occurred_at) FILTER (WHERE outcome = 3) AS dismissed_at,
        min(occurred_at) FILTER (WHERE outcome = 5) AS muted_at,
        min(occurred_at) FILTER (WHERE outcome = 6) AS liked_at,
        min(occurred_at) FILTER (WHERE outcome = 7) AS disliked_at,
        bool_or(outcome = 4 AND occurred_at >= n.created_at) AS converted,
        sum(value) FILTER (WHERE outcome = 4 AND occurred_at >= n.created_at) AS revenue
    FROM feedback WHERE notification_id = n.notification_id
) f ON true
WHERE n.created_at >= current_setting('tidings.since')::timestamptz
    AND n.created_at < current_setting('tidings.until')::timestamptz
ORDER BY n.created_at, n.notification_id
