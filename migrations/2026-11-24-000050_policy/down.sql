DROP TABLE consents;
DROP FUNCTION refuse_consent_update();
ALTER TABLE user_preferences DROP COLUMN settings;
UPDATE decisions SET outcome = 'drop' WHERE outcome IN ('digest', 'inbox_only');
ALTER TABLE decisions
    DROP COLUMN channel, DROP COLUMN campaign, DROP COLUMN dedupe_key, DROP COLUMN policy_version,
    DROP COLUMN holdout, DROP COLUMN counted, DROP COLUMN alternatives, DROP COLUMN steps,
    DROP CONSTRAINT decisions_outcome_known,
    ADD CONSTRAINT decisions_outcome_known CHECK (outcome IN ('send', 'defer', 'drop'));
COMMENT ON COLUMN decisions.outcome IS 'send, defer or drop.';
