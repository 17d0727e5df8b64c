-- Takes the words off messages and calls of triggers that were for one named user, who is being erased.
-- Parameters: inner ids of the user; names of the user.
WITH erased AS (SELECT ?::integer[] AS ids, ?::text[] AS names),
named AS (
    SELECT call_id AS broadcast_id FROM decisions, erased WHERE user_id = ANY(ids)
    UNION SELECT call_id FROM notifications, erased WHERE user_id = ANY(ids)
    UNION SELECT call_id FROM held_messages, erased WHERE user_id = ANY(ids)
    UNION SELECT broadcast_id FROM outbox, erased WHERE users <@ names
    UNION SELECT broadcast_id FROM broadcast_recipients, erased WHERE external_id = ANY(names)
)
UPDATE broadcasts b SET message = 'null' FROM named
WHERE b.broadcast_id = named.broadcast_id AND b.audience = '{"users": 1}' AND b.message <> 'null'
