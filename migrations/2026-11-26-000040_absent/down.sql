DROP INDEX held_messages_due;
