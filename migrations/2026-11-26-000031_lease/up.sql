-- One server at a time decides on a database; what one that was replaced still commits is refused.
ALTER TABLE server ADD COLUMN holder uuid;
ALTER TABLE server ADD COLUMN held_since timestamptz;
COMMENT ON COLUMN server.holder IS 'The server process that decides; its own random number. Null = none has so far.';
COMMENT ON COLUMN server.held_since IS 'When it began.';
