ALTER TABLE broadcasts DROP unsent_reason;
