-- An erasure looks for a user's deliveries of broadcasts by the user.
CREATE INDEX broadcast_recipients_user ON broadcast_recipients (external_id);
