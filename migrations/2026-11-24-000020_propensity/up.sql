-- What each message was expected to bring, and the numbers it was expected by.

ALTER TABLE decisions
    ADD COLUMN p_click real CONSTRAINT decisions_p_click_range CHECK (p_click BETWEEN 0 AND 1),
    ADD COLUMN p_purchase real CONSTRAINT decisions_p_purchase_range CHECK (p_purchase BETWEEN 0 AND 1),
    ADD COLUMN p_mute real CONSTRAINT decisions_p_mute_range CHECK (p_mute BETWEEN 0 AND 1),
    ADD COLUMN features real[];
COMMENT ON COLUMN decisions.p_click IS 'Probability of a click, as of the decision; null for decisions of older releases.';
COMMENT ON COLUMN decisions.p_purchase IS 'Probability that an item of it is bought within the attribution window; null as above.';
COMMENT ON COLUMN decisions.p_mute IS 'Probability that the user mutes its category; null as above.';
COMMENT ON COLUMN decisions.features IS 'The numbers these probabilities were made from, which training learns from; null unless sent.';
