-- What is bought together, as each model version found it.

CREATE TABLE association_rules (
    model_version integer NOT NULL REFERENCES models ON DELETE CASCADE,
    place integer NOT NULL,
    antecedent integer[] NOT NULL,
    consequent integer[] NOT NULL,
    count integer NOT NULL,
    support double precision NOT NULL,
    confidence double precision NOT NULL,
    lift double precision NOT NULL,
    PRIMARY KEY (model_version, place),
    CONSTRAINT association_rules_sides CHECK (cardinality(antecedent) > 0 AND cardinality(consequent) > 0),
    CONSTRAINT association_rules_shares CHECK (support BETWEEN 0 AND 1 AND confidence BETWEEN 0 AND 1)
);
COMMENT ON TABLE association_rules IS 'Rules "baskets with these items hold those too", of each model version; they go with it.';
COMMENT ON COLUMN association_rules.model_version IS 'Of which model.';
COMMENT ON COLUMN association_rules.place IS 'From 0, by lift, the greatest first.';
COMMENT ON COLUMN association_rules.antecedent IS 'If: items, by inner id.';
COMMENT ON COLUMN association_rules.consequent IS 'Then: items, by inner id.';
COMMENT ON COLUMN association_rules.count IS 'Baskets with all of both.';
COMMENT ON COLUMN association_rules.support IS 'Share of all baskets with all of both, 0 to 1.';
COMMENT ON COLUMN association_rules.confidence IS 'Share of the antecedent''s baskets that hold the consequent, 0 to 1.';
COMMENT ON COLUMN association_rules.lift IS 'How many times more often than by chance; 1 = chance.';
