SELECT make_webhook_triggers();
DROP TRIGGER webhook_endpoints_made ON webhook_endpoints;
DROP FUNCTION webhook_endpoint_made;
DROP FUNCTION make_webhook_triggers;
