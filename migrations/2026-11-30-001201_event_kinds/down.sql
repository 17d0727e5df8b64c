DELETE FROM events WHERE kind >= 100;
DROP TABLE event_kinds;
