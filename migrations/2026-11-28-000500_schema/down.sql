DROP TABLE cleaning_reports, jobs,
    push_outbox, push_subscriptions, push_keys,
    broadcast_batches, broadcasts, idempotency_keys, notification_receipts, outbox,
    user_once, held_messages, feedback, acknowledgements, notifications, decisions, definitions,
    learner, user_features, association_rules, models,
    event_receipts, events,
    item_prices, items,
    consents, opt_outs, user_preferences, users,
    server;
DROP FUNCTION ensure_event_partition(timestamptz), refuse_consent_update();
