-- An acknowledgement changes no indexed column and finds room beside the old row: PostgreSQL then touches no index.
DROP INDEX notifications_unacknowledged;
ALTER TABLE notifications SET (fillfactor = 85);
