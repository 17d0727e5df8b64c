-- Puts a message for an audience into the outbox, in rows of so many users.
-- Parameters: users a row; segment or topic or null; due at; message; whether it is held; batch as text, which is also the broadcast.
WITH named AS (
    SELECT u.user_id, u.external_id, (row_number() OVER (ORDER BY u.user_id) - 1) / ? AS c
    FROM {members}
),
chunked AS (SELECT c, array_agg(external_id ORDER BY user_id) AS users FROM named GROUP BY c)
INSERT INTO outbox (batch, due_at, users, message, is_held, broadcast_id)
SELECT (left(b, 15) || left(h, 3) || 'a' || substr(h, 4, 15))::uuid, ?, users, ?, ?, b::uuid
FROM chunked,
    LATERAL (SELECT ? AS b) batch,
    LATERAL (SELECT encode(sha256(convert_to(b || '/' || c, 'UTF8')), 'hex') AS h) hash
ORDER BY c
RETURNING cardinality(users), batch
