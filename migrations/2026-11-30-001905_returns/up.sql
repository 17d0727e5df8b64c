-- A message that comes back from a snooze is pushed to the browsers of users whom no page shows it.
ALTER TABLE notifications ADD COLUMN returned_at timestamptz;
CREATE INDEX notifications_snoozed ON notifications (snoozed_until) WHERE snoozed_until IS NOT NULL;
COMMENT ON COLUMN notifications.returned_at IS 'When it was last decided whether browsers are told that it came back from a snooze; null, or before snoozed_until = not yet.';
