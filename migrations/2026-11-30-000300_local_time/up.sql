-- Messages at a wall time, due in each user's own time zone.

ALTER TABLE broadcasts ADD local_at text;
COMMENT ON COLUMN broadcasts.local_at IS 'Wall time without a zone, at which it is due in each user''s own; due_at is the next look. Null = due at due_at.';

CREATE TABLE broadcast_recipients (
    broadcast_id uuid NOT NULL,
    external_id text NOT NULL,
    is_released boolean NOT NULL,
    CONSTRAINT broadcast_recipients_pkey PRIMARY KEY (broadcast_id, external_id),
    CONSTRAINT broadcast_recipients_broadcast FOREIGN KEY (broadcast_id) REFERENCES broadcasts ON DELETE CASCADE
);
COMMENT ON TABLE broadcast_recipients IS 'Users of broadcasts with a local_at: nobody is handed to the outbox twice, whatever zone they move to.';
COMMENT ON COLUMN broadcast_recipients.broadcast_id IS 'Of which broadcast.';
COMMENT ON COLUMN broadcast_recipients.external_id IS 'To whom.';
COMMENT ON COLUMN broadcast_recipients.is_released IS 'Handed to the outbox. False for named users whose time has not come; a segment, a topic or everyone is only entered when it has.';
