-- Users who came within the bounds, in the order in which they came, with features as of the last training and consents.
-- The last column says whose the attributes are that may be encrypted.
-- Parameters: none; the settings tidings.since and tidings.until.
SELECT u.external_id AS user_id, u.created_at, u.last_connected_at, u.is_robot,
    u.robot_reason, coalesce(a.attributes, jsonb_build_object()) AS attributes,
    (SELECT k.external_id FROM users k WHERE k.user_id = u.merged_into) AS merged_into, chr(65 + f.segment) AS segment,
    f.purchases_per_month, f.browsing_minutes_per_month, f.searches_per_month, f.recency_days, f.monetary,
    f.updated_at AS features_at, p.time_zone, p.locale, to_jsonb(p.muted) AS muted,
    coalesce((p.settings ->> 'opted_out')::boolean, false) AS opted_out,
    coalesce((SELECT jsonb_object_agg(c.purpose, c.granted) FROM (
        SELECT DISTINCT ON (purpose) purpose, granted FROM consents
        WHERE consents.user_id = u.user_id ORDER BY purpose, consent_id DESC) c), jsonb_build_object()) AS consents, u.user_id AS owner
FROM users u
LEFT JOIN user_features f ON f.user_id = u.user_id
LEFT JOIN user_preferences p ON p.user_id = u.user_id
LEFT JOIN user_attributes a ON a.user_id = u.user_id
WHERE u.created_at >= current_setting('tidings.since')::timestamptz
    AND u.created_at < current_setting('tidings.until')::timestamptz
ORDER BY u.user_id
