ALTER TABLE server DROP COLUMN held_since;
ALTER TABLE server DROP COLUMN holder;
