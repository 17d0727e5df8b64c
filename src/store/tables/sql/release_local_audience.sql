-- Puts a message for those of an audience whose wall time has come, and who had it not yet, into the outbox, in rows of so many users.
-- Parameters: broadcast; segment or topic or null; zones that are due; whether the server's own is; unreadable zones; users a row;
-- due at; message; batch as text; moment.
WITH released AS (
    INSERT INTO broadcast_recipients (broadcast_id, external_id, is_released)
    SELECT ?, u.external_id, true
    FROM {members}
        AND EXISTS (
            SELECT FROM (VALUES (0)) one LEFT JOIN user_preferences p ON p.user_id = u.user_id
            WHERE p.time_zone = ANY(?) OR (? AND (p.time_zone IS NULL OR p.time_zone = ANY(?)))
        )
    ON CONFLICT DO NOTHING RETURNING external_id
),
named AS (SELECT external_id, (row_number() OVER (ORDER BY external_id) - 1) / ? AS c FROM released),
chunked AS (SELECT c, array_agg(external_id ORDER BY external_id) AS users FROM named GROUP BY c)
INSERT INTO outbox (batch, broadcast_id, due_at, users, message)
SELECT (left(b, 15) || left(h, 3) || 'a' || substr(h, 4, 15))::uuid, b::uuid, ?, users, ?
FROM chunked,
    LATERAL (SELECT ?::text AS b, ?::text AS moment) batch,
    LATERAL (SELECT encode(sha256(convert_to(b || '/' || moment || '/' || c, 'UTF8')), 'hex') AS h) hash
ORDER BY c
RETURNING cardinality(users), batch
