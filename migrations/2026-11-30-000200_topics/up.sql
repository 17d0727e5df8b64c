-- Topics that users follow.

CREATE TABLE topics (
    topic_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT topics_name_unique UNIQUE (name),
    CONSTRAINT topics_name_length CHECK (octet_length(name) BETWEEN 1 AND 128)
);
COMMENT ON TABLE topics IS 'Topics that somebody follows or has followed; one that is in no row is unknown.';
COMMENT ON COLUMN topics.topic_id IS 'Inner id.';
COMMENT ON COLUMN topics.name IS 'As the shop names it.';
COMMENT ON COLUMN topics.created_at IS 'When it was first followed.';

CREATE TABLE topic_subscribers (
    topic_id integer NOT NULL REFERENCES topics ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    subscribed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT topic_subscribers_pkey PRIMARY KEY (topic_id, user_id)
);
CREATE INDEX topic_subscribers_user ON topic_subscribers (user_id);
COMMENT ON TABLE topic_subscribers IS 'Who follows which topic.';
COMMENT ON COLUMN topic_subscribers.topic_id IS 'Which topic.';
COMMENT ON COLUMN topic_subscribers.user_id IS 'Who; at most 1,000 topics a user.';
COMMENT ON COLUMN topic_subscribers.subscribed_at IS 'Since when.';

COMMENT ON COLUMN broadcasts.audience IS 'Object with one of everyone (true), segment (a letter), topic (its name) and users (how many were named).';
