-- What expires before anybody was given it gives its place in the frequency caps back.
ALTER TABLE notifications ADD COLUMN given_at timestamptz;
COMMENT ON COLUMN notifications.given_at IS 'When a page that somebody looks at was given it, or a push service took it; null = nobody.';
-- Of what went before it is not known, and only the last week is counted.
UPDATE notifications SET given_at = created_at WHERE created_at > now() - interval '8 days';
