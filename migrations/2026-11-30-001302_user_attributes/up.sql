-- What the shop says of its users.

CREATE TABLE user_attributes (
    user_id integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    attributes jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_attributes_object CHECK (jsonb_typeof(attributes) = 'object')
);
COMMENT ON TABLE user_attributes IS 'Attributes of users, set by the shop; a missing row means none.';
COMMENT ON COLUMN user_attributes.user_id IS 'Whose.';
COMMENT ON COLUMN user_attributes.attributes IS 'Object of texts, numbers, booleans, arrays of texts, and dates as {"date": …}, by name.';
COMMENT ON COLUMN user_attributes.updated_at IS 'When any of them last changed.';
