CREATE TABLE broadcast_batches (
    batch uuid PRIMARY KEY,
    broadcast_id uuid NOT NULL,
    CONSTRAINT broadcast_batches_broadcast FOREIGN KEY (broadcast_id) REFERENCES broadcasts ON DELETE CASCADE
);
CREATE INDEX broadcast_batches_broadcast_id ON broadcast_batches (broadcast_id);
COMMENT ON TABLE broadcast_batches IS 'Batches of the rows that a broadcast has or had in the outbox; none while a segment or everyone waits, whose users are read at due_at.';
COMMENT ON COLUMN broadcast_batches.batch IS 'As in outbox.batch; with a user it gives the notification_id.';
COMMENT ON COLUMN broadcast_batches.broadcast_id IS 'Of which broadcast.';
INSERT INTO broadcast_batches (batch, broadcast_id) SELECT unnest(batches), broadcast_id FROM broadcasts;
ALTER TABLE broadcasts DROP batches;
