-- What a trigger that is told once has told, and when a user was last here: decisions and events alone forget both.
CREATE TABLE user_once (
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    trigger text NOT NULL,
    fired_at timestamptz NOT NULL,
    CONSTRAINT user_once_pkey PRIMARY KEY (user_id, trigger)
);
COMMENT ON TABLE user_once IS 'Triggers that have gone off for a user and do so once: of a segment once for good, of an absence once for each absence.';
COMMENT ON COLUMN user_once.user_id IS 'For whom.';
COMMENT ON COLUMN user_once.trigger IS 'Name of the trigger.';
COMMENT ON COLUMN user_once.fired_at IS 'When it last went off.';

ALTER TABLE users ADD COLUMN last_connected_at timestamptz;
COMMENT ON COLUMN users.last_connected_at IS 'When a connection of the user was last known to be open, to the hour; null = never.';

UPDATE users SET last_connected_at = d.at
    FROM (SELECT user_id, max(decided_at) AS at FROM decisions WHERE trigger = 'login' GROUP BY user_id) AS d
    WHERE d.user_id = users.user_id;
-- Those of segments are known by the rule they name, those of an absence by its length; a definition that ships has no row.
INSERT INTO user_once (user_id, trigger, fired_at)
    SELECT d.user_id, d.trigger, max(d.decided_at) FROM decisions d JOIN users u USING (user_id)
    WHERE d.outcome IN ('send', 'inbox_only', 'digest') AND (d.trigger = 'win_back' OR d.trigger IN
        (SELECT name FROM definitions WHERE kind = 'trigger' AND body->'when'->>'kind' IN ('segment', 'win_back')))
    GROUP BY d.user_id, d.trigger;
