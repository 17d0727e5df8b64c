DELETE FROM webhook_endpoints WHERE removed_at IS NOT NULL;
ALTER TABLE webhook_endpoints DROP COLUMN removed_at;
