-- Statistics describe what is there: nothing to undo.
SELECT 1;
