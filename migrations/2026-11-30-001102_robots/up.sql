-- Why a user is taken for a robot, and until when what they did is not learnt from.

ALTER TABLE users ADD robot_since timestamptz;
ALTER TABLE users ADD robot_reason text;
ALTER TABLE users ADD robot_until timestamptz;
UPDATE users SET robot_since = now(), robot_reason = 'flagged before reasons were kept' WHERE is_robot;
COMMENT ON COLUMN users.robot_since IS 'When their rate was last found to be no person''s; null = never, or a person said that they are none.';
COMMENT ON COLUMN users.robot_reason IS 'Rate that was found, in words; null where robot_since is.';
COMMENT ON COLUMN users.robot_until IS 'When the flag went by itself: nothing from before it is learnt from. Null = flagged now, or never.';
