-- Decisions of the random test keep their features whether or not the coin said send: what is learned is the difference.
COMMENT ON COLUMN decisions.features IS 'The numbers these probabilities were made from, which training learns from; null unless sent or decided by a coin.';
