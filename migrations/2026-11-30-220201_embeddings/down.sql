ALTER TABLE items DROP COLUMN embedding;
