-- The way each message goes: chosen once, when it is decided.

ALTER TABLE notifications
    ADD COLUMN channel smallint NOT NULL DEFAULT 0 CONSTRAINT notifications_channel_known CHECK (channel BETWEEN 0 AND 2);
COMMENT ON COLUMN notifications.channel IS '0 = a page that somebody looks at, 1 = Web Push, 2 = the inbox. 0 becomes 1 once, when the page closed without acknowledging.';
