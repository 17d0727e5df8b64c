-- Embeddings that the shop brings along with its items.
ALTER TABLE items ADD COLUMN embedding real[];
ALTER TABLE items ADD CONSTRAINT items_embedding_length CHECK (cardinality(embedding) BETWEEN 1 AND 1024);
-- Numbers of a model do not compress.
ALTER TABLE items ALTER COLUMN embedding SET STORAGE EXTERNAL;
CREATE INDEX items_embedding_lengths ON items (cardinality(embedding)) WHERE embedding IS NOT NULL;
COMMENT ON COLUMN items.embedding IS 'Vector of a text or picture model, as many numbers for every item; null = none.';
