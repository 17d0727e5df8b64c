ALTER TABLE notifications ADD COLUMN acknowledged_at timestamptz;
ALTER TABLE notifications SET (fillfactor = 85);
UPDATE notifications n SET acknowledged_at = a.acknowledged_at FROM acknowledgements a
    WHERE a.user_id = n.user_id AND n.stream_offset <= a.up_to;
DROP TABLE acknowledgements;
