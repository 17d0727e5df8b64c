-- A decision can be replayed from the user's state and these.
ALTER TABLE decisions ADD COLUMN inputs jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN decisions.inputs IS 'Versions of the definitions, the catalogue and what was learned that the decision read, and the seed of its random draws; {} before this column.';
