-- Features that the shop states of users, with or without events.

CREATE TABLE stated_features (
    user_id integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    purchases_per_month double precision NOT NULL,
    browsing_minutes_per_month double precision NOT NULL,
    searches_per_month double precision NOT NULL,
    stated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stated_features_not_negative CHECK (
        purchases_per_month >= 0 AND browsing_minutes_per_month >= 0 AND searches_per_month >= 0
    )
);
COMMENT ON TABLE stated_features IS 'Behaviour of users as the shop states it; counts as one month of observation beside the events.';
COMMENT ON COLUMN stated_features.user_id IS 'Inner id.';
COMMENT ON COLUMN stated_features.purchases_per_month IS 'Items bought a month.';
COMMENT ON COLUMN stated_features.browsing_minutes_per_month IS 'Minutes of browsing a month.';
COMMENT ON COLUMN stated_features.searches_per_month IS 'Searches a month.';
COMMENT ON COLUMN stated_features.stated_at IS 'When the values last changed.';
