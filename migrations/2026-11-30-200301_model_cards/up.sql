-- The card of each model: data, parameters, figures with intervals, and what changed against the version before.
ALTER TABLE models ADD COLUMN card jsonb;
COMMENT ON COLUMN models.card IS 'Model card: data, parameters, figures with intervals over users, changes against the version that served before. Null for versions that were trained before there were cards.';
