DELETE FROM acknowledgements WHERE up_to = 0;
ALTER TABLE acknowledgements
    DROP CONSTRAINT acknowledgements_up_to_check,
    ADD CONSTRAINT acknowledgements_up_to_check CHECK (up_to > 0);
DROP INDEX users_merged;
ALTER TABLE users
    DROP CONSTRAINT users_merged_dated,
    DROP CONSTRAINT users_merged_into_other,
    DROP CONSTRAINT users_merged_into_user,
    DROP COLUMN merged_at,
    DROP COLUMN merged_into;
