-- The last of the entries at the beginning of the audit log that are from before a moment; never the last of all.
-- Parameters: most entries; moment, twice.
WITH first AS (SELECT seq, occurred_at, hash FROM audit_log ORDER BY seq LIMIT ?)
SELECT seq, hash FROM first
WHERE occurred_at < ?
    AND seq < coalesce((SELECT min(seq) FROM first WHERE occurred_at >= ?), (SELECT max(seq) FROM audit_log))
ORDER BY seq DESC
LIMIT 1
