DROP TABLE cleaning_reports, jobs, decisions, feedback, notifications, user_features, models, event_receipts, events,
    items, user_preferences, users, server;
DROP FUNCTION ensure_event_partition(timestamptz);
