-- A version that activates or pauses an older body says which, and a draft lies beside the version in force.
ALTER TABLE definitions ADD COLUMN repeats integer;
ALTER TABLE definitions ADD CONSTRAINT definitions_repeats_older CHECK (repeats >= 0 AND repeats < version);
COMMENT ON TABLE definitions IS 'Triggers, templates, policies and experiments: a row for every change. The latest version of a name that is no draft is in force; a name without one is as the server ships it.';
COMMENT ON COLUMN definitions.repeats IS 'The version whose body this one activates or pauses, 0 = the one that ships with the server; null = a body of its own.';
