-- Entries of the audit log behind a place that have one of some texts in a field that may name a person, in their order.
-- Parameters: place; texts; most rows.
SELECT a.seq, a.occurred_at, a.actor, a.role, a.address, a.action, a.object, a.status, a.before, a.after, a.hash,
    a.salt, a.digest, a.is_pseudonymous
FROM audit_log a
WHERE a.seq > ?
    AND EXISTS (SELECT FROM unnest(?) AS t (name)
        WHERE position(t.name IN concat_ws(' ', a.actor, a.object, a.before, a.after)) > 0)
ORDER BY a.seq
LIMIT ?
