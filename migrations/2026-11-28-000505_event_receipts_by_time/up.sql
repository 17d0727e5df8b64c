-- Receipts are forgotten by their age. They are written in the order of their time: a summary of each block range finds the old ones.
CREATE INDEX event_receipts_received ON event_receipts USING brin (received_at) WITH (pages_per_range = 32);
