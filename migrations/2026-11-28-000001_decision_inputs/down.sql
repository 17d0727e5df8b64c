ALTER TABLE decisions DROP COLUMN inputs;
