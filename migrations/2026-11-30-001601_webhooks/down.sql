DROP TRIGGER push_subscriptions_removed_webhooks ON push_subscriptions;
DROP TRIGGER push_subscriptions_ended_webhooks ON push_subscriptions;
DROP TRIGGER push_subscriptions_back_webhooks ON push_subscriptions;
DROP TRIGGER push_subscriptions_made_webhooks ON push_subscriptions;
DROP TRIGGER user_preferences_changed_webhooks ON user_preferences;
DROP TRIGGER user_preferences_made_webhooks ON user_preferences;
DROP TRIGGER consents_webhooks ON consents;
DROP TRIGGER feedback_webhooks ON feedback;
DROP TRIGGER decisions_webhooks ON decisions;
DROP TRIGGER notifications_webhooks ON notifications;
DROP FUNCTION webhooks_of_subscriptions, webhooks_of_preferences, webhooks_of_consents, webhooks_of_feedback,
    webhooks_of_decisions, webhooks_of_notifications, emit_webhook, webhook_payload, webhook_time, webhook_id, webhook_wanted;
DROP TABLE webhook_cursor, webhook_attempts, webhook_deliveries, webhook_endpoints;
DROP FUNCTION begin_webhook_conversions;
