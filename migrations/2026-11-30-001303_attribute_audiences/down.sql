COMMENT ON COLUMN broadcasts.audience IS 'Object with one of everyone (true), segment (a letter), topic (its name) and users (how many were named).';
DROP FUNCTION attributes_meet(jsonb, jsonb);
DROP FUNCTION attribute_moment(text);
