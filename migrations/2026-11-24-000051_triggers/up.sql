-- Triggers, templates and policies as data with their history, and messages that wait: deferred, or collected for a digest.

CREATE TABLE definitions (
    definition_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    body jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    CONSTRAINT definitions_version_unique UNIQUE (kind, name, version),
    CONSTRAINT definitions_kind_known CHECK (kind IN ('trigger', 'template', 'policy')),
    CONSTRAINT definitions_state_known CHECK (state IN ('draft', 'active', 'paused'))
);
COMMENT ON TABLE definitions IS 'Triggers, templates and policies: a row for every change, the latest version of a name holds. What has no row is as the server ships it.';
COMMENT ON COLUMN definitions.definition_id IS 'Counts up.';
COMMENT ON COLUMN definitions.kind IS 'trigger, template or policy.';
COMMENT ON COLUMN definitions.name IS 'Unique within its kind.';
COMMENT ON COLUMN definitions.version IS 'Counts up from 1 for each name.';
COMMENT ON COLUMN definitions.state IS 'draft: not used yet; active: used; paused: switched off, also if it ships with the server.';
COMMENT ON COLUMN definitions.body IS 'The definition, valid when it was stored.';
COMMENT ON COLUMN definitions.changed_at IS 'When.';
COMMENT ON COLUMN definitions.changed_by IS 'Who: the user of the token, or admin.';

CREATE TABLE held_messages (
    held_id uuid PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    trigger text NOT NULL,
    category text NOT NULL,
    item_id integer,
    price_before double precision,
    event jsonb,
    for_digest boolean NOT NULL,
    until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX held_messages_user ON held_messages (user_id, until);
CREATE INDEX held_messages_expires ON held_messages (expires_at);
COMMENT ON TABLE held_messages IS 'What set a message off that waits: until quiet hours end, a cart was left long enough, or for the digest. Judged again when let go.';
COMMENT ON COLUMN held_messages.held_id IS 'UUIDv7.';
COMMENT ON COLUMN held_messages.user_id IS 'For whom.';
COMMENT ON COLUMN held_messages.trigger IS 'Name of the trigger.';
COMMENT ON COLUMN held_messages.category IS 'Its category at that time.';
COMMENT ON COLUMN held_messages.item_id IS 'About what; null = nothing in particular.';
COMMENT ON COLUMN held_messages.price_before IS 'What the item cost before, where that set it off.';
COMMENT ON COLUMN held_messages.event IS 'What the shop said when it set the trigger off; null = nothing.';
COMMENT ON COLUMN held_messages.for_digest IS 'Collected for the digest, rather than told by itself.';
COMMENT ON COLUMN held_messages.until IS 'Judged again then, or when the user is next seen.';
COMMENT ON COLUMN held_messages.expires_at IS 'Not worth saying after this.';
COMMENT ON COLUMN held_messages.created_at IS 'When it was first held.';
