-- Permissions of an API key of its own, in place of those of a role.
ALTER TABLE api_keys ADD permissions text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN api_keys.permissions IS 'What it may, by the names of permissions; empty = what the role may.';
