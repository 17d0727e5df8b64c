COMMENT ON COLUMN decisions.propensity IS 'Probability with which the policy chose this outcome; 1 = deterministic.';
UPDATE decisions SET propensity = propensity * variant_propensity WHERE variant_propensity IS NOT NULL;
ALTER TABLE decisions DROP COLUMN variant_propensity;
