-- Puts a message for those of the named users whose wall time has come, and who had it not yet, into the outbox, in rows of so many users.
-- Parameters: broadcast; zones that are due; whether the server's own is; unreadable zones; users a row;
-- due at; message; batch as text; moment.
WITH released AS (
    UPDATE broadcast_recipients r SET is_released = true
    WHERE r.broadcast_id = ? AND NOT r.is_released
        AND EXISTS (
            SELECT FROM (VALUES (0)) one
                LEFT JOIN (users u JOIN user_preferences p ON p.user_id = coalesce(u.merged_into, u.user_id))
                    ON u.external_id = r.external_id
            WHERE p.time_zone = ANY(?) OR (? AND (p.time_zone IS NULL OR p.time_zone = ANY(?)))
        )
    RETURNING r.external_id
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
