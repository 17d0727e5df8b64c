CREATE OR REPLACE FUNCTION attribute_moment(date text) RETURNS timestamptz LANGUAGE sql STABLE SET timezone = 'UTC' AS $$
    SELECT date::timestamptz
$$;
COMMENT ON FUNCTION attribute_moment(text) IS 'The moment of a date (its first, in UTC) or a time of an attribute.';
