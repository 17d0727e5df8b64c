DROP TABLE association_rules;
