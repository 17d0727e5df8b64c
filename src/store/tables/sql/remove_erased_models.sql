-- Removes versions of models that were trained before an erasure was over, if the one that serves was not. Versions that running
-- experiments name stay until these end.
-- Parameters: none.
WITH last AS (SELECT max(erased_at) AS at FROM erasures WHERE state = 'models'),
arms AS (
    SELECT (arm ->> 'model')::integer AS model_version
    FROM (
        SELECT DISTINCT ON (name) state, body FROM definitions WHERE kind = 'experiment' AND state <> 'draft'
        ORDER BY name, version DESC
    ) d, jsonb_array_elements(d.body -> 'arms') arm
    WHERE d.state = 'active' AND jsonb_typeof(arm -> 'model') = 'number'
)
DELETE FROM models m USING last
WHERE m.created_at <= last.at AND m.state <> 'active'
    AND NOT EXISTS (SELECT FROM models s WHERE s.state = 'active' AND s.created_at <= last.at)
    AND m.model_version NOT IN (SELECT model_version FROM arms)
