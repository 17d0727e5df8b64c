-- Reads a message that has its place in a stream, with what its user did.
-- Parameters: its id.
SELECT user_id, withdrawn_at IS NOT NULL AND withdrawn_reason = 'withdrawn', frame, created_at,
    EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id AND f.outcome = 1),
    EXISTS (SELECT FROM feedback f WHERE f.notification_id = n.notification_id AND f.outcome = 2)
FROM notifications n WHERE notification_id = ?
