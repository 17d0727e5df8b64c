-- Outcomes of messages by a key in two parts, grouped by one or more expressions.
-- Parameters: since; time zone; ids of messages with credited purchases; whether each was kept; its revenue; most groups.
WITH asked AS (SELECT ?::timestamptz AS since, ?::text AS zone),
brought AS (SELECT * FROM unnest(?, ?, ?) AS b (notification_id, kept, revenue)),
came AS (
    SELECT f.notification_id, bool_or(outcome = 1) AS displayed, bool_or(outcome = 2) AS clicked,
        bool_or(outcome = 3) AS dismissed, bool_or(outcome = 4 AND f.occurred_at >= n.created_at) AS converted,
        sum(value) FILTER (WHERE outcome = 4 AND f.occurred_at >= n.created_at) AS revenue,
        bool_or(outcome = 5) AS muted, bool_or(outcome = 6) AS liked, bool_or(outcome = 7) AS disliked
    FROM feedback f JOIN notifications n USING (notification_id), asked
    WHERE n.created_at >= since
    GROUP BY 1
),
-- An opt-out happened when the ledger of consents or opt_outs says, the first time it was said.
gone AS (
    SELECT user_id, min(at) AS at
    FROM (
        SELECT said.user_id, recorded_at AS at
        FROM consents said, asked
        WHERE purpose = 'marketing' AND NOT granted AND recorded_at >= since
            AND (SELECT p.granted FROM consents p
                WHERE p.user_id = said.user_id AND p.purpose = said.purpose AND p.consent_id < said.consent_id
                ORDER BY p.consent_id DESC LIMIT 1) IS NOT FALSE
        UNION ALL SELECT user_id, opted_out_at FROM opt_outs, asked WHERE opted_out_at >= since
    ) left_at
    GROUP BY 1
),
-- It is of the last message before it, up to 30 days back.
last AS (
    SELECT m.notification_id
    FROM gone CROSS JOIN LATERAL (
        SELECT notification_id FROM notifications n
        WHERE n.user_id = gone.user_id AND n.created_at BETWEEN gone.at - interval '30 days' AND gone.at
        ORDER BY stream_offset DESC LIMIT 1
    ) m
),
ways AS (
    SELECT DISTINCT ON (notification_id) notification_id, policy_version, coalesce(variant, alternatives[1]) AS variant
    FROM decisions, asked
    WHERE notification_id IS NOT NULL AND decided_at >= since - interval '1 day'
    ORDER BY notification_id
)
SELECT {first}, {second}, count(*),
    count(*) FILTER (WHERE a.up_to >= n.stream_offset OR c.notification_id IS NOT NULL OR b.notification_id IS NOT NULL),
    count(*) FILTER (WHERE c.displayed), count(*) FILTER (WHERE c.clicked), count(*) FILTER (WHERE c.dismissed),
    count(*) FILTER (WHERE c.liked), count(*) FILTER (WHERE c.disliked),
    count(*) FILTER (WHERE coalesce(b.kept, c.converted)),
    coalesce(sum(coalesce(b.revenue, c.revenue)), 0)::float8,
    count(*) FILTER (WHERE c.muted), count(l.notification_id)
FROM asked
CROSS JOIN notifications n
LEFT JOIN acknowledgements a ON a.user_id = n.user_id
LEFT JOIN came c USING (notification_id)
LEFT JOIN brought b USING (notification_id)
LEFT JOIN last l USING (notification_id)
LEFT JOIN ways w USING (notification_id)
WHERE n.created_at >= since
GROUP BY {group} ORDER BY 3 DESC, 1, 2 LIMIT ?
