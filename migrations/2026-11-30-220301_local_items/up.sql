-- Words and prices of items for other languages and currencies than their own.
ALTER TABLE items ADD COLUMN translations jsonb NOT NULL DEFAULT '{}';
ALTER TABLE items ADD COLUMN prices jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN items.translations IS 'Title, category, url and image_url by BCP 47 tag; what is absent is as in the item''s own words.';
COMMENT ON COLUMN items.prices IS 'Prices in other currencies than the item''s own, major units by ISO 4217 code.';
