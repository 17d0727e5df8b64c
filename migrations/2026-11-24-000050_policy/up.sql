-- Decisions with every step and outcome, what users asked of us in full, and the ledger of what they agreed to.

ALTER TABLE decisions
    DROP CONSTRAINT decisions_outcome_known,
    ADD CONSTRAINT decisions_outcome_known CHECK (outcome IN ('send', 'defer', 'digest', 'inbox_only', 'drop')),
    ADD COLUMN channel text NOT NULL DEFAULT 'socket',
    ADD COLUMN campaign text NOT NULL DEFAULT '',
    ADD COLUMN dedupe_key bigint,
    ADD COLUMN policy_version integer NOT NULL DEFAULT 0,
    ADD COLUMN holdout boolean NOT NULL DEFAULT false,
    ADD COLUMN counted boolean NOT NULL DEFAULT true,
    ADD COLUMN alternatives text[] NOT NULL DEFAULT '{}',
    ADD COLUMN steps jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN decisions.outcome IS 'send, defer, digest, inbox_only or drop.';
COMMENT ON COLUMN decisions.channel IS 'The way it took or would have taken: socket, push or inbox.';
COMMENT ON COLUMN decisions.campaign IS 'Name of the trigger or campaign; the narrowest scope of a frequency cap.';
COMMENT ON COLUMN decisions.dedupe_key IS 'Hash that names the occasion; one message for each.';
COMMENT ON COLUMN decisions.policy_version IS 'Which version of the policy decided; 0 = the configuration.';
COMMENT ON COLUMN decisions.holdout IS 'Nothing was sent because the user is held out, whatever the policy said.';
COMMENT ON COLUMN decisions.counted IS 'Does its message count towards frequency caps? Not when asked for or transactional.';
COMMENT ON COLUMN decisions.alternatives IS 'What could have been chosen instead, the chosen one first.';
COMMENT ON COLUMN decisions.steps IS 'Array of {step, verdict, reason, text} in order: each step that was asked.';

ALTER TABLE user_preferences ADD COLUMN settings jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN user_preferences.settings IS
    'Object of opted_out, paused_until, digest, blocked_channels, mutes; what is absent is off.';

CREATE TABLE consents (
    consent_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose text NOT NULL,
    granted boolean NOT NULL,
    source text NOT NULL,
    text_version text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT consents_purpose_known CHECK (purpose IN ('profiling', 'marketing', 'push'))
);
CREATE INDEX consents_user ON consents (user_id, purpose, consent_id);
COMMENT ON TABLE consents IS 'What users agreed to and took back. A ledger: rows are added, never changed; the latest of a purpose holds.';
COMMENT ON COLUMN consents.consent_id IS 'Counts up.';
COMMENT ON COLUMN consents.user_id IS 'Who.';
COMMENT ON COLUMN consents.purpose IS 'profiling, marketing or push.';
COMMENT ON COLUMN consents.granted IS 'Given (true) or refused or taken back (false).';
COMMENT ON COLUMN consents.source IS 'Where it was said, e.g. sign-up form, preference page, shop backend.';
COMMENT ON COLUMN consents.text_version IS 'Which wording the user saw.';
COMMENT ON COLUMN consents.recorded_at IS 'When.';

CREATE FUNCTION refuse_consent_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'consents is a ledger: add a row instead of changing one';
END $$;
COMMENT ON FUNCTION refuse_consent_update() IS 'Keeps consents append-only; erasing a user deletes rows, nothing changes them.';
CREATE TRIGGER consents_append_only BEFORE UPDATE ON consents FOR EACH ROW EXECUTE FUNCTION refuse_consent_update();
