-- When users opted out of everything: a row of preferences says only that they have, and when anything in it last changed.
CREATE TABLE opt_outs (
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    opted_out_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, opted_out_at)
);
COMMENT ON TABLE opt_outs IS 'Each time a user opted out of everything in their preferences. Rows are added, never changed.';
COMMENT ON COLUMN opt_outs.user_id IS 'Who.';
COMMENT ON COLUMN opt_outs.opted_out_at IS 'When.';
-- Of those who had before, this is the latest moment it can have been.
INSERT INTO opt_outs SELECT user_id, updated_at FROM user_preferences WHERE (settings->>'opted_out')::boolean;
