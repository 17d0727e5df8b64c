ALTER TABLE items DROP COLUMN prices;
ALTER TABLE items DROP COLUMN translations;
