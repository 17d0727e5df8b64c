ALTER TABLE notifications RESET (fillfactor);
CREATE INDEX notifications_unacknowledged ON notifications (user_id, stream_offset) WHERE acknowledged_at IS NULL;
