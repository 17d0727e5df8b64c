-- Readings of outcomes and experiments go through purchases and returns by time: a few in a hundred events.
CREATE INDEX events_traded ON events (occurred_at, user_id) WHERE kind IN (5, 6);
