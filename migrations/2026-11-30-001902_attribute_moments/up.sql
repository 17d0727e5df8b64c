-- A date of an attribute that PostgreSQL can't read meets no condition, as on the server: one such user must not end the query of a
-- whole audience.
CREATE OR REPLACE FUNCTION attribute_moment(date text) RETURNS timestamptz LANGUAGE plpgsql STABLE SET timezone = 'UTC' AS $$
BEGIN
    RETURN date::timestamptz;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION attribute_moment(text) IS 'The moment of a date (its first, in UTC) or a time of an attribute; null for a text that is neither.';
