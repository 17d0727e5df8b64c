DROP TABLE held_messages;
DROP TABLE definitions;
