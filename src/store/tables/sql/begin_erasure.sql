-- Gives a user, and the ids that were merged into it, pseudonyms in place of their ids: from then on no name leads to their rows, and nothing
-- is learnt from or sent to them.
-- Parameters: the user's id.
WITH named AS (SELECT coalesce(merged_into, user_id) AS user_id FROM users WHERE external_id = ?),
old AS (
    SELECT u.user_id, u.external_id FROM users u JOIN named n ON n.user_id IN (u.user_id, u.merged_into)
    FOR UPDATE OF u
),
renamed AS (
    UPDATE users u SET external_id = 'erased-' || left(encode(erased_id_hash(old.external_id), 'hex'), 32), is_robot = true,
        robot_since = NULL, robot_reason = NULL, robot_until = NULL, last_connected_at = NULL
    FROM old WHERE old.user_id = u.user_id
)
SELECT user_id, external_id FROM old
