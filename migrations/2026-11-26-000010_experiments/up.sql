ALTER TABLE decisions ADD COLUMN slice TEXT NOT NULL DEFAULT 'ordinary';
ALTER TABLE decisions ADD COLUMN variant TEXT;
ALTER TABLE decisions ADD COLUMN arms JSONB NOT NULL DEFAULT '{}';
COMMENT ON COLUMN decisions.slice IS 'What held for the user: ordinary, holdout or random.';
COMMENT ON COLUMN decisions.variant IS 'The wording that was used; null where the template has one.';
COMMENT ON COLUMN decisions.arms IS 'Of the running experiments: name to arm.';

ALTER TABLE definitions DROP CONSTRAINT definitions_kind_known;
ALTER TABLE definitions ADD CONSTRAINT definitions_kind_known
    CHECK (kind IN ('trigger', 'template', 'policy', 'experiment'));
COMMENT ON COLUMN definitions.kind IS 'trigger, template, policy or experiment.';

-- What was learned about when, how much and in which words to write; one row.
CREATE TABLE learner (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    version integer NOT NULL,
    learned jsonb NOT NULL,
    saved_at timestamptz NOT NULL
);
COMMENT ON TABLE learner IS 'What was learned about when, how much and in which words to write.';
COMMENT ON COLUMN learner.id IS 'Always true: there is one row.';
COMMENT ON COLUMN learner.version IS 'Of the format; another one is not read.';
COMMENT ON COLUMN learner.learned IS 'As the server had it.';
COMMENT ON COLUMN learner.saved_at IS 'When.';
