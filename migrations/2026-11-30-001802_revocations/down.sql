DROP TABLE revocations, identity_changes;
DROP FUNCTION note_identity_change;
