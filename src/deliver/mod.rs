//! The user's stream and session logic without a socket: one input in, effects out.
