-- Copies the ledger of consents of a merged user, and adds the answer that holds where the two disagree: the refusal, as of now.
-- Parameters: the user; the merged one, three times; the user; the merged one.
WITH latest AS (
    SELECT DISTINCT ON (user_id, purpose) user_id, purpose, granted, text_version
    FROM consents WHERE user_id IN (?, ?) ORDER BY user_id, purpose, consent_id DESC
),
refused AS (
    SELECT k.purpose, CASE WHEN k.granted THEN a.text_version ELSE k.text_version END AS text_version
    FROM latest k JOIN latest a USING (purpose)
    WHERE a.user_id = ? AND k.user_id <> ? AND a.granted <> k.granted
)
INSERT INTO consents (user_id, purpose, granted, source, text_version, recorded_at)
SELECT ?, purpose, granted, source, text_version, recorded_at
FROM (
    SELECT 0 AS turn, consent_id, purpose, granted, source, text_version, recorded_at FROM consents WHERE user_id = ?
    UNION ALL
    SELECT 1, 0, purpose, false, 'merge', text_version, now() FROM refused
) answers
ORDER BY turn, consent_id
