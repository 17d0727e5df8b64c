DROP TABLE learner;
DELETE FROM definitions WHERE kind = 'experiment';
ALTER TABLE definitions DROP CONSTRAINT definitions_kind_known;
ALTER TABLE definitions ADD CONSTRAINT definitions_kind_known CHECK (kind IN ('trigger', 'template', 'policy'));
COMMENT ON COLUMN definitions.kind IS 'trigger, template or policy.';
ALTER TABLE decisions DROP COLUMN arms;
ALTER TABLE decisions DROP COLUMN variant;
ALTER TABLE decisions DROP COLUMN slice;
