-- What users did to messages, as stored; the rows are locked. A message that has expired by then is left out.
-- Parameters: messages; users of each; now.
SELECT n.notification_id, n.user_id, n.expires_at, n.seen_at, n.read_at, n.inbox_changed_at,
    n.archived_at IS NOT NULL, n.snoozed_until
FROM unnest(?, ?) AS w (notification_id, user_id)
JOIN notifications n ON n.notification_id = w.notification_id AND n.user_id = w.user_id
WHERE n.withdrawn_at IS NULL AND n.expires_at > ?
ORDER BY n.notification_id FOR UPDATE OF n
