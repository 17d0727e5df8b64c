COMMENT ON COLUMN decisions.features IS 'The numbers these probabilities were made from, which training learns from; null unless sent.';
