-- A page of a user's inbox, newest first.
-- Parameters: now; user; offset before which it begins; now; category or null, twice; name of the state; most messages.
SELECT m.* FROM (
    SELECT stream_offset, frame, category, archived_at IS NOT NULL AS archived, snoozed_until,
        coalesce(read_at >= coalesce(snoozed_until, inbox_changed_at, '-infinity'), false) AS read,
        coalesce(seen_at >= coalesce(snoozed_until, '-infinity'), false) AS seen,
        coalesce(snoozed_until > ?, false) AS away
    FROM notifications
    WHERE user_id = ? AND stream_offset < ? AND expires_at > ? AND withdrawn_at IS NULL AND trigger <> 'login'
) m
WHERE (?::text IS NULL OR m.category = ?)
    AND CASE ?::text
        WHEN 'inbox' THEN NOT m.archived AND NOT m.away
        WHEN 'unread' THEN NOT m.archived AND NOT m.away AND NOT m.read
        WHEN 'archived' THEN m.archived
        WHEN 'snoozed' THEN m.away
        ELSE true
    END
ORDER BY m.stream_offset + 0 DESC LIMIT ?
