DROP INDEX notifications_snoozed;
ALTER TABLE notifications DROP COLUMN returned_at;
