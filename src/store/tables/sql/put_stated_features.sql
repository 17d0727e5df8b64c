-- Adds stated features of users that are there, or replaces those that differ.
-- Parameters: users; purchases, minutes and searches a month.
INSERT INTO stated_features AS known (user_id, purchases_per_month, browsing_minutes_per_month, searches_per_month)
SELECT n.user_id, n.purchases, n.minutes, n.searches
FROM unnest(?, ?, ?, ?) AS n (user_id, purchases, minutes, searches)
JOIN users u ON u.user_id = n.user_id
ON CONFLICT (user_id) DO UPDATE SET
    purchases_per_month = excluded.purchases_per_month,
    browsing_minutes_per_month = excluded.browsing_minutes_per_month,
    searches_per_month = excluded.searches_per_month,
    stated_at = now()
WHERE (known.purchases_per_month, known.browsing_minutes_per_month, known.searches_per_month)
    IS DISTINCT FROM (excluded.purchases_per_month, excluded.browsing_minutes_per_month, excluded.searches_per_month)
