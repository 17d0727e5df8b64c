DROP INDEX broadcast_recipients_user;
