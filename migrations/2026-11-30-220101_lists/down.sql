DROP INDEX events_of_lists;
ALTER TABLE events DROP COLUMN list_id;
DROP TABLE lists;
