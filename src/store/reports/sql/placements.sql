-- Lists answered since a moment by placement, with what came of them by the events that name them; then such events that count for
-- none, by reason, in rows with a negative number of lists. Robots are left out.
-- Parameters: since; seconds within which a purchase counts; codes of kinds that are acts on an item; most placements.
WITH asked AS (SELECT ?::timestamptz AS since, make_interval(secs => ?::float8) AS span),
named AS MATERIALIZED (
    SELECT e.list_id, e.kind, e.user_id, e.item_id, e.occurred_at, CASE
        WHEN l.list_id IS NULL THEN 'unknown_list'
        WHEN l.user_id IS DISTINCT FROM e.user_id AND l.user_id IS NOT NULL THEN 'other_user'
        WHEN e.item_id IS NULL OR e.item_id <> ALL (l.items) THEN 'other_item'
        ELSE '' END AS ignored
    FROM asked
    CROSS JOIN events e
    LEFT JOIN lists l ON l.list_id = e.list_id
    LEFT JOIN users u ON u.user_id = e.user_id
    WHERE e.list_id IS NOT NULL AND e.occurred_at >= since - interval '1 hour' AND u.is_robot IS NOT TRUE
),
came AS (
    SELECT list_id, bool_or(kind = 3) AS carted, bool_or(EXISTS (
        SELECT FROM events p
        WHERE p.user_id = named.user_id AND p.item_id = named.item_id AND p.kind = 5
            AND p.occurred_at BETWEEN named.occurred_at AND named.occurred_at + span
    )) AS bought
    FROM named, asked
    WHERE ignored = '' AND kind = ANY (?)
    GROUP BY 1
)
(
    SELECT l.placement, count(*), sum(cardinality(l.items))::bigint, count(c.list_id), count(*) FILTER (WHERE c.carted),
        count(*) FILTER (WHERE c.bought)
    FROM asked
    CROSS JOIN lists l
    LEFT JOIN users u ON u.user_id = l.user_id
    LEFT JOIN came c ON c.list_id = l.list_id
    WHERE l.made_at >= since AND u.is_robot IS NOT TRUE
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?
)
UNION ALL SELECT ignored, -1, count(*), 0, 0, 0 FROM named, asked WHERE ignored <> '' AND occurred_at >= since GROUP BY 1
