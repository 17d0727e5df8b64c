-- Users with a decision since a moment, their arm or slice, and what became of their messages.
-- Parameters: since; experiment or null; ids of messages with credited purchases; whether each was kept; most users.
WITH asked AS (SELECT ?::timestamptz AS since, ?::text AS experiment),
brought AS (SELECT * FROM unnest(?, ?) AS b (notification_id, kept)),
decided AS (
    SELECT user_id, decided_at, segment, CASE WHEN experiment IS NULL THEN slice ELSE arms->>experiment END AS arm
    FROM asked, decisions
    WHERE decided_at >= since
),
seen AS (
    SELECT user_id, min(decided_at) AS first, (array_agg(arm ORDER BY decided_at DESC))[1] AS arm,
        (array_agg(segment ORDER BY decided_at DESC))[1] AS segment
    FROM decided JOIN users u USING (user_id)
    WHERE arm IS NOT NULL AND NOT u.is_robot
    GROUP BY 1 ORDER BY 1 LIMIT ?
),
came AS (
    SELECT f.notification_id, bool_or(outcome = 2) AS clicked,
        bool_or(outcome = 4 AND f.occurred_at >= n.created_at) AS converted, bool_or(outcome = 5) AS muted
    FROM feedback f JOIN notifications n USING (notification_id), asked
    WHERE n.created_at >= since
    GROUP BY 1
),
told AS (
    SELECT n.user_id,
        count(*) FILTER (WHERE a.up_to >= n.stream_offset OR c.notification_id IS NOT NULL
            OR b.notification_id IS NOT NULL) AS delivered,
        count(*) FILTER (WHERE c.clicked) AS clicked,
        coalesce(bool_or(coalesce(b.kept, c.converted)), false) AS converted,
        coalesce(bool_or(c.muted), false) AS muted
    FROM asked
    CROSS JOIN notifications n
    LEFT JOIN acknowledgements a ON a.user_id = n.user_id
    LEFT JOIN came c USING (notification_id)
    LEFT JOIN brought b USING (notification_id)
    WHERE n.created_at >= since
    GROUP BY 1
)
SELECT s.user_id, s.arm, s.segment, s.first, coalesce(t.delivered, 0), coalesce(t.clicked, 0),
    coalesce(t.muted, false)
        OR EXISTS (SELECT FROM consents c WHERE c.user_id = s.user_id AND c.purpose = 'marketing' AND NOT c.granted
            AND c.recorded_at >= s.first)
        OR EXISTS (SELECT FROM opt_outs o WHERE o.user_id = s.user_id AND o.opted_out_at >= s.first),
    coalesce(t.converted, false)
FROM seen s LEFT JOIN told t USING (user_id)
