-- Whether anything names a user.
-- Parameters: the user's id, four times.
SELECT EXISTS (SELECT FROM users WHERE external_id = ?)
    OR EXISTS (SELECT FROM outbox WHERE users @> ARRAY[?])
    OR EXISTS (SELECT FROM broadcast_recipients WHERE external_id = ?)
    OR EXISTS (SELECT FROM revocations WHERE subject = ?)
