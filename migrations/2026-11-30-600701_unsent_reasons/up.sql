-- Reasons why a message to many, or with a time, reached nobody, or nobody more, when its time had come.
ALTER TABLE broadcasts
    ADD unsent_reason text,
    ADD CONSTRAINT broadcasts_unsent_reason_known
        CHECK (unsent_reason IN ('lifetime_ended', 'words_unavailable', 'encrypted_attribute'));
COMMENT ON COLUMN broadcasts.unsent_reason IS 'Reason why it reached nobody, or nobody more, when its time had come; null = there was none, and before this column.';
