COMMENT ON COLUMN broadcasts.audience IS 'Object with one of everyone (true), segment (a letter) and users (how many were named).';
DROP TABLE topic_subscribers, topics;
