-- Entries of the audit log that pass every part of a filter, the latest first; a part that is null lets all pass.
-- Parameters: actor, text in the action, text in the object, status, begin, end, place before which they are, most rows.
WITH filter (actor, action, object, status, since, until, place) AS (
    VALUES (?::text, ?::text, ?::text, ?::smallint, ?::timestamptz, ?::timestamptz, ?::bigint)
)
SELECT a.seq, a.occurred_at, a.actor, a.role, a.address, a.action, a.object, a.status, a.before, a.after, a.hash,
    a.salt, a.digest, a.is_pseudonymous
FROM audit_log a, filter f
WHERE (f.place IS NULL OR a.seq < f.place)
    AND (f.actor IS NULL OR a.actor = f.actor)
    AND (f.action IS NULL OR position(f.action IN a.action) > 0)
    AND (f.object IS NULL OR position(f.object IN a.object) > 0)
    AND (f.status IS NULL OR a.status = f.status)
    AND (f.since IS NULL OR a.occurred_at >= f.since)
    AND (f.until IS NULL OR a.occurred_at < f.until)
ORDER BY a.seq DESC
LIMIT ?
