ALTER TABLE notifications DROP COLUMN collapse_key, DROP COLUMN priority, DROP COLUMN seen_at, DROP COLUMN read_at,
    DROP COLUMN withdrawn_at, DROP COLUMN withdrawn_reason;
DROP TABLE notification_receipts;
DROP TABLE outbox;
