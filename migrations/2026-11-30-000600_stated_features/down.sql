DROP TABLE stated_features;
