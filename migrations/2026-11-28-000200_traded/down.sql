DROP INDEX events_traded;
