-- A client acknowledges its stream up to a place: one narrow row a user says it, instead of a new version of every message.
CREATE TABLE acknowledgements (
    user_id integer PRIMARY KEY,
    up_to bigint NOT NULL CHECK (up_to > 0),
    acknowledged_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE acknowledgements IS 'How far each user''s stream was received by a client of theirs.';
COMMENT ON COLUMN acknowledgements.user_id IS 'Whose stream.';
COMMENT ON COLUMN acknowledgements.up_to IS 'Up to and including this offset.';
COMMENT ON COLUMN acknowledgements.acknowledged_at IS 'When the last acknowledgement came.';
INSERT INTO acknowledgements SELECT user_id, max(stream_offset), max(acknowledged_at) FROM notifications
    WHERE acknowledged_at IS NOT NULL GROUP BY user_id;
ALTER TABLE notifications DROP COLUMN acknowledged_at;
ALTER TABLE notifications RESET (fillfactor);
