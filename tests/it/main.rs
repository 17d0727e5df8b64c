//! Integration tests: real PostgreSQL, real sockets, one binary.

mod helpers;
