//! PostgreSQL through diesel: one file per table, bulk COPY, the embedded cluster.
