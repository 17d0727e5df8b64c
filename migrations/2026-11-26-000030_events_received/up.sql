-- What came since a training is read again after a start. A few bytes a megabyte of events, next to nothing to keep.
CREATE INDEX events_received ON events USING brin (received_at) WITH (pages_per_range = 32);
