-- Decisions of the random slice made by a coin, the first of each user in every span of time, the newest first.
-- Parameters: since; now; span in seconds; most rows.
WITH asked AS (SELECT ?::timestamptz AS since, ?::timestamptz AS over, make_interval(secs => ?) AS span),
first AS (
    SELECT DISTINCT ON (d.user_id, date_bin(span, d.decided_at, since)) d.*
    FROM asked, decisions d JOIN users u USING (user_id)
    WHERE d.decided_at >= since AND d.decided_at <= over - span AND d.slice = 'random' AND NOT u.is_robot
        AND d.propensity < 1 AND d.steps @> '[{"step": "experiment"}]'
    ORDER BY d.user_id, date_bin(span, d.decided_at, since), d.decided_at
)
SELECT user_id, decided_at, trigger, category, segment, features, outcome <> 'drop', propensity
FROM first
ORDER BY decided_at DESC LIMIT ?
