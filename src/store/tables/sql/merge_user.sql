-- Joins what `users` says of a merged user with the row of the user: the earlier beginning, the later visit, and a robot's flag of
-- either. Of two reasons the later one holds.
-- Parameters: now; the user; the merged one.
UPDATE users k SET
    merged_at = ?,
    last_connected_at = greatest(k.last_connected_at, a.last_connected_at),
    created_at = least(k.created_at, a.created_at),
    is_robot = k.is_robot OR a.is_robot,
    robot_since = greatest(k.robot_since, a.robot_since),
    robot_reason = CASE WHEN k.robot_since >= a.robot_since OR a.robot_since IS NULL THEN k.robot_reason ELSE a.robot_reason END,
    robot_until = CASE WHEN NOT (k.is_robot OR a.is_robot) THEN greatest(k.robot_until, a.robot_until) END
FROM users a WHERE k.user_id = ? AND a.user_id = ?
