-- Kinds of events that the shop defines itself ([event.kinds] of the configuration), by the code in events.kind.
CREATE TABLE event_kinds (
    code smallint PRIMARY KEY,
    name text NOT NULL,
    weight real NOT NULL,
    needs_item boolean NOT NULL,
    CONSTRAINT event_kinds_name_unique UNIQUE (name),
    CONSTRAINT event_kinds_code_range CHECK (code BETWEEN 100 AND 199),
    CONSTRAINT event_kinds_weight_range CHECK (weight BETWEEN -1 AND 1)
);
COMMENT ON TABLE event_kinds IS 'Kinds of events of the shop''s own, as a configuration last named them.';
COMMENT ON COLUMN event_kinds.code IS 'As in events.kind; a code once given stays with its name.';
COMMENT ON COLUMN event_kinds.name IS 'Name on the wire.';
COMMENT ON COLUMN event_kinds.weight IS 'Strength as a sign of interest; a purchase is 1.';
COMMENT ON COLUMN event_kinds.needs_item IS 'An event of it names an item.';
