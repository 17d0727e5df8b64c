-- People who sign in to the dashboard: accounts, sessions, and links to set a password. Ids of sessions and links are kept as their SHA-256,
-- which is enough for 256 random bits.

CREATE TABLE people (
    person_id uuid PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    password_hash text,
    issuer text,
    issuer_subject text,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    signed_in_at timestamptz,
    disabled_at timestamptz,
    CONSTRAINT people_role_known
        CHECK (role IN ('viewer', 'marketer', 'operator', 'privacy_officer', 'developer', 'admin')),
    CONSTRAINT people_subject_of_issuer CHECK ((issuer IS NULL) = (issuer_subject IS NULL))
);
CREATE UNIQUE INDEX people_name ON people (name);
CREATE UNIQUE INDEX people_subject ON people (issuer, issuer_subject);
COMMENT ON TABLE people IS 'Accounts of people who sign in to the dashboard.';
COMMENT ON COLUMN people.person_id IS 'UUIDv7.';
COMMENT ON COLUMN people.name IS 'Name in lower case, with which the person signs in, and the actor in records.';
COMMENT ON COLUMN people.role IS 'Role: viewer, marketer, operator, privacy_officer, developer or admin.';
COMMENT ON COLUMN people.password_hash IS 'Argon2id, a PHC string; null = no password is set.';
COMMENT ON COLUMN people.issuer IS 'Identity provider that the person signs in with; null = none.';
COMMENT ON COLUMN people.issuer_subject IS 'The sub of the identity provider; null = none.';
COMMENT ON COLUMN people.created_at IS 'When the account was made.';
COMMENT ON COLUMN people.created_by IS 'Who made it.';
COMMENT ON COLUMN people.signed_in_at IS 'Last sign-in; null = never.';
COMMENT ON COLUMN people.disabled_at IS 'When the account was disabled; null = it is not.';

CREATE TABLE person_sessions (
    session_id uuid PRIMARY KEY,
    hash bytea NOT NULL,
    person_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    address text,
    browser text,
    CONSTRAINT person_sessions_hash_length CHECK (octet_length(hash) = 32),
    CONSTRAINT person_sessions_person FOREIGN KEY (person_id) REFERENCES people ON DELETE CASCADE
);
CREATE UNIQUE INDEX person_sessions_hash ON person_sessions (hash);
CREATE INDEX person_sessions_by_person ON person_sessions (person_id, created_at);
COMMENT ON TABLE person_sessions IS 'Sessions of people that have not ended.';
COMMENT ON COLUMN person_sessions.session_id IS 'Name of the session, a UUIDv7; not its secret id.';
COMMENT ON COLUMN person_sessions.hash IS 'SHA-256 of the id in the cookie.';
COMMENT ON COLUMN person_sessions.person_id IS 'Whose it is.';
COMMENT ON COLUMN person_sessions.created_at IS 'When the person signed in.';
COMMENT ON COLUMN person_sessions.seen_at IS 'Last use, right to some seconds.';
COMMENT ON COLUMN person_sessions.expires_at IS 'End, however much it is used.';
COMMENT ON COLUMN person_sessions.address IS 'Address that the person signed in from; null = not known.';
COMMENT ON COLUMN person_sessions.browser IS 'User-Agent of the sign-in; null = none.';

CREATE TABLE person_links (
    hash bytea PRIMARY KEY,
    person_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT person_links_hash_length CHECK (octet_length(hash) = 32),
    CONSTRAINT person_links_person FOREIGN KEY (person_id) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX person_links_by_person ON person_links (person_id);
COMMENT ON TABLE person_links IS 'Links that are good once: to set a password, or to make the first administrator.';
COMMENT ON COLUMN person_links.hash IS 'SHA-256 of the secret in the link.';
COMMENT ON COLUMN person_links.person_id IS 'Whose password it sets; null = it makes the first administrator.';
COMMENT ON COLUMN person_links.created_at IS 'When it was made.';
COMMENT ON COLUMN person_links.expires_at IS 'End of its validity.';

CREATE TRIGGER people_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF name, role, disabled_at ON people
    FOR EACH STATEMENT EXECUTE FUNCTION note_identity_change();
CREATE TRIGGER person_sessions_changed AFTER INSERT OR DELETE OR TRUNCATE ON person_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION note_identity_change();
COMMENT ON FUNCTION note_identity_change() IS 'Counts a change of revocations, API keys, people or their sessions.';
COMMENT ON TABLE identity_changes IS 'One row: how often revocations, API keys, people or their sessions have changed.';
