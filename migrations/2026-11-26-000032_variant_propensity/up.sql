-- Whether to send and in which words are two choices with a probability each.
ALTER TABLE decisions ADD COLUMN variant_propensity real;
COMMENT ON COLUMN decisions.variant_propensity IS 'Probability of the wording among those on offer; null where there was nothing to choose, and before this column.';
COMMENT ON COLUMN decisions.propensity IS 'Probability of the outcome: of the coin in the random slice, of the hour where it decided; 1 = nothing was left to chance.';
-- In the random slice the coin's half was multiplied with the wording's; elsewhere the factors can't be told apart any more.
UPDATE decisions SET variant_propensity = propensity / 0.5, propensity = 0.5 WHERE slice = 'random' AND propensity < 0.5;
