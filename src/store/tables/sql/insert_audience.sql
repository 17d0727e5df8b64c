-- Puts a message for a segment, or for everyone but robots, into the outbox, in rows of so many users.
-- Parameters: users a row; segment or null; due at; message; batch as text.
WITH named AS (
    SELECT u.user_id, u.external_id, (row_number() OVER (ORDER BY u.user_id) - 1) / ? AS c
    FROM users u LEFT JOIN user_features f USING (user_id)
    WHERE NOT u.is_robot AND f.segment IS NOT DISTINCT FROM coalesce(?, f.segment)
),
chunked AS (SELECT c, array_agg(external_id ORDER BY user_id) AS users FROM named GROUP BY c)
INSERT INTO outbox (batch, due_at, users, message)
SELECT (left(b, 15) || left(h, 3) || 'a' || substr(h, 4, 15))::uuid, ?, users, ?
FROM chunked,
    LATERAL (SELECT ? AS b) batch,
    LATERAL (SELECT encode(sha256(convert_to(b || '/' || c, 'UTF8')), 'hex') AS h) hash
ORDER BY c
RETURNING cardinality(users), batch
