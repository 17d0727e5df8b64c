-- Messages to many and messages that wait for their time, each under one id: listed, changed and taken back by it.
CREATE TABLE broadcasts (
    broadcast_id uuid PRIMARY KEY,
    call_id uuid NOT NULL,
    state text NOT NULL,
    audience jsonb NOT NULL,
    message text NOT NULL,
    users integer NOT NULL,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT broadcasts_state_known CHECK (state IN ('scheduled', 'sent', 'withdrawn', 'expired')),
    CONSTRAINT broadcasts_users_range CHECK (users >= 0)
);
CREATE INDEX broadcasts_scheduled ON broadcasts (due_at, broadcast_id) WHERE state = 'scheduled';
CREATE INDEX broadcasts_call ON broadcasts (call_id);
CREATE INDEX broadcasts_changed ON broadcasts (changed_at);
COMMENT ON TABLE broadcasts IS 'Messages to more than one user or with a send_at, one row a message; kept for 100 days after their time.';
COMMENT ON COLUMN broadcasts.broadcast_id IS 'UUIDv7; also the first batch of its messages.';
COMMENT ON COLUMN broadcasts.call_id IS 'The request it came with: the same as broadcast_id if it came alone.';
COMMENT ON COLUMN broadcasts.state IS 'scheduled: waits for due_at; sent: handed to the outbox; withdrawn: taken back; expired: its lifetime ended before it could be sent.';
COMMENT ON COLUMN broadcasts.audience IS 'Object with one of everyone (true), segment (a letter) and users (how many were named).';
COMMENT ON COLUMN broadcasts.message IS 'JSON as in outbox.message.';
COMMENT ON COLUMN broadcasts.users IS 'Users it was accepted for; of a segment or everyone 0 until it is sent.';
COMMENT ON COLUMN broadcasts.due_at IS 'Not before this.';
COMMENT ON COLUMN broadcasts.created_at IS 'When it was accepted.';
COMMENT ON COLUMN broadcasts.changed_at IS 'Last change of state, words or time.';

CREATE TABLE broadcast_batches (
    batch uuid PRIMARY KEY,
    broadcast_id uuid NOT NULL,
    CONSTRAINT broadcast_batches_broadcast FOREIGN KEY (broadcast_id) REFERENCES broadcasts ON DELETE CASCADE
);
CREATE INDEX broadcast_batches_broadcast_id ON broadcast_batches (broadcast_id);
COMMENT ON TABLE broadcast_batches IS 'Batches of the rows that a broadcast has or had in the outbox; none while a segment or everyone waits, whose users are read at due_at.';
COMMENT ON COLUMN broadcast_batches.batch IS 'As in outbox.batch; with a user it gives the notification_id.';
COMMENT ON COLUMN broadcast_batches.broadcast_id IS 'Of which broadcast.';
