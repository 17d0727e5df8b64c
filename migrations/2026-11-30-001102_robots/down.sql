ALTER TABLE users DROP robot_until;
ALTER TABLE users DROP robot_reason;
ALTER TABLE users DROP robot_since;
