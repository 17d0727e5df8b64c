DROP TABLE learner;
ALTER TABLE decisions DROP COLUMN arms;
ALTER TABLE decisions DROP COLUMN variant;
ALTER TABLE decisions DROP COLUMN slice;
