ALTER TABLE users DROP COLUMN last_connected_at;
DROP TABLE user_once;
