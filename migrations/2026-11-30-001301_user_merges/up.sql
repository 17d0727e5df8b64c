-- A visitor without an account is merged into the user who logs in. The row of the visitor stays as an alias.

ALTER TABLE users
    ADD COLUMN merged_into integer,
    ADD COLUMN merged_at timestamptz,
    ADD CONSTRAINT users_merged_into_user FOREIGN KEY (merged_into) REFERENCES users ON DELETE CASCADE,
    ADD CONSTRAINT users_merged_into_other CHECK (merged_into <> user_id),
    ADD CONSTRAINT users_merged_dated CHECK (merged_into IS NULL OR merged_at IS NOT NULL);
CREATE INDEX users_merged ON users (merged_into) WHERE merged_into IS NOT NULL;
COMMENT ON COLUMN users.merged_into IS 'The user this one was merged into, never merged itself: everything under this id belongs to that user. Null = not merged.';
COMMENT ON COLUMN users.merged_at IS 'Last merge: into merged_into, or of another into this one. Null = never.';

-- Received messages of a merged visitor come before the stream, at offsets up to 0.
ALTER TABLE acknowledgements
    DROP CONSTRAINT acknowledgements_up_to_check,
    ADD CONSTRAINT acknowledgements_up_to_check CHECK (up_to >= 0);
