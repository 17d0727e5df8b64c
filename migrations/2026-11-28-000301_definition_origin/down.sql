COMMENT ON TABLE definitions IS 'Triggers, templates and policies: a row for every change, the latest version of a name holds. What has no row is as the server ships it.';
ALTER TABLE definitions DROP COLUMN repeats;
