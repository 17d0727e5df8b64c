-- What is due is found without a user: those who are away and can be pushed to are woken for it.
CREATE INDEX held_messages_due ON held_messages (until, held_id);
