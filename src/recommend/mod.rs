//! What a user may like: models over one interaction matrix, blended, filtered by rule, each with its reason.
