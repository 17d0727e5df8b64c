//! The wires: WebSocket pipes and TCP options.
