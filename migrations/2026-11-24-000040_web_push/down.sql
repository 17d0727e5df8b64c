DROP TABLE push_outbox, push_subscriptions, push_keys;
