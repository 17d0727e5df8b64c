DELETE FROM definitions WHERE kind = 'placement';
ALTER TABLE definitions DROP CONSTRAINT definitions_kind_known;
ALTER TABLE definitions ADD CONSTRAINT definitions_kind_known
    CHECK (kind IN ('trigger', 'template', 'policy', 'experiment'));
COMMENT ON TABLE definitions IS 'Triggers, templates, policies and experiments: a row for every change. The latest version of a name that is no draft is in force; a name without one is as the server ships it.';
COMMENT ON COLUMN definitions.kind IS 'trigger, template, policy or experiment.';
