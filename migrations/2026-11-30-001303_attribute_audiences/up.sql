-- Audiences by attributes of users: the conditions of rules, as the server asks them.

CREATE FUNCTION attribute_moment(date text) RETURNS timestamptz LANGUAGE sql STABLE SET timezone = 'UTC' AS $$
    SELECT date::timestamptz
$$;
COMMENT ON FUNCTION attribute_moment(text) IS 'The moment of a date (its first, in UTC) or a time of an attribute.';

CREATE FUNCTION attributes_meet(attributes jsonb, conditions jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_and(CASE
        WHEN v IS NULL THEN coalesce(c->'exists' = 'false', false) AND c->'one_of' IS NULL AND c->'at_least' IS NULL AND c->'at_most' IS NULL
        ELSE coalesce(c->'exists' <> 'false', true)
            AND (c->'one_of' IS NULL OR EXISTS (
                SELECT FROM jsonb_array_elements(c->'one_of') o WHERE CASE jsonb_typeof(v)
                    WHEN 'array' THEN v @> o
                    WHEN 'object' THEN v->'date' = o
                    ELSE v = o END))
            AND (c->'at_least' IS NULL OR coalesce(CASE jsonb_typeof(v)
                WHEN 'number' THEN jsonb_typeof(c->'at_least') = 'number' AND v >= c->'at_least'
                WHEN 'object' THEN jsonb_typeof(c->'at_least') = 'string'
                    AND attribute_moment(v->>'date') >= attribute_moment(c->>'at_least') END, false))
            AND (c->'at_most' IS NULL OR coalesce(CASE jsonb_typeof(v)
                WHEN 'number' THEN jsonb_typeof(c->'at_most') = 'number' AND v <= c->'at_most'
                WHEN 'object' THEN jsonb_typeof(c->'at_most') = 'string'
                    AND attribute_moment(v->>'date') <= attribute_moment(c->>'at_most') END, false))
        END), true)
    FROM jsonb_array_elements(conditions) c, LATERAL (SELECT attributes->(c->>'name') AS v) attribute
$$;
COMMENT ON FUNCTION attributes_meet(jsonb, jsonb) IS 'Whether attributes of a user meet all conditions of an array, each an object of name, exists, one_of, at_least and at_most.';

COMMENT ON COLUMN broadcasts.audience IS 'Object with one of everyone (true), segment (a letter), topic (its name), attributes (an array of conditions) and users (how many were named).';
