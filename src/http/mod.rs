//! The HTTP API: extract, authorise, one message or one query, respond.
