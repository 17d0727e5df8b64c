-- Takes the first users of a held row of the outbox into a row of their own on the timeline.
-- Parameters: number of users; row; due at; number of users.
WITH split AS (
    UPDATE outbox SET users = outbox.users[before.n + 1:]
    FROM (SELECT outbox_id, users, ?::integer AS n FROM outbox WHERE outbox_id = ? FOR UPDATE) before
    WHERE outbox.outbox_id = before.outbox_id
    RETURNING outbox.batch, before.users, outbox.message, outbox.broadcast_id
)
INSERT INTO outbox (batch, due_at, users, message, broadcast_id)
SELECT batch, ?, users[:?], message, broadcast_id FROM split
