COMMENT ON TABLE identity_changes IS 'One row: how often revocations or API keys have changed.';
COMMENT ON FUNCTION note_identity_change() IS 'Counts a change of revocations or API keys.';
DROP TABLE person_links;
DROP TABLE person_sessions;
DROP TABLE people;
