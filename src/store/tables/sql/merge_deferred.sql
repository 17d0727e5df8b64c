-- Moves the deferred triggers of a merged user, without those that the user has, or whose call has told the user already: of these
-- the ones of calls, with the moment at which that was, null where the user's own still waits.
-- Parameters: the merged user; the user, five times; the merged one.
WITH doubled AS (
    DELETE FROM held_messages h
    WHERE h.user_id = ? AND (EXISTS (
            SELECT FROM held_messages o WHERE o.user_id = ? AND o.trigger = h.trigger AND o.for_digest = h.for_digest
                AND o.item_id IS NOT DISTINCT FROM h.item_id AND o.call_id IS NOT DISTINCT FROM h.call_id)
        OR (NOT h.for_digest AND EXISTS (SELECT FROM notifications n WHERE n.user_id = ? AND n.call_id = h.call_id)))
    RETURNING h.held_id, ?::integer, h.trigger, h.category, h.item_id, h.price_before, h.event, h.for_digest, h.until,
        h.expires_at, h.call_id,
        (SELECT max(n.created_at) FROM notifications n WHERE n.user_id = ? AND n.call_id = h.call_id) AS told_at
),
moved AS (
    UPDATE held_messages SET user_id = ? WHERE user_id = ? AND held_id NOT IN (SELECT held_id FROM doubled)
)
SELECT * FROM doubled WHERE call_id IS NOT NULL
