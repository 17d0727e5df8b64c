ALTER TABLE decisions DROP COLUMN p_click, DROP COLUMN p_purchase, DROP COLUMN p_mute, DROP COLUMN features;
