COMMENT ON COLUMN decisions.propensity IS 'Probability with which the policy chose this outcome; 1 = deterministic.';
ALTER TABLE decisions DROP COLUMN variant_propensity;
