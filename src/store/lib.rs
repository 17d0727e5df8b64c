//! PostgreSQL through diesel. Functions take a connection and a whole batch; the shell runs them through [`Store::run`],
//! which never blocks an arbiter.
//!
//! `postgres` is the pool, its sessions and statements; `tables` writes and reads, one file a table; `reports` reads over
//! several tables; `cluster` is the private PostgreSQL.
//!
//! Batches travel as arrays (`UNNEST`), one statement a batch: measured 3 times as fast as multi-row `VALUES`.

pub mod cluster;
pub mod encryption;
pub mod postgres;
pub mod reports;
pub mod tables;

/// Connection that every function of this module works on.
pub use diesel::PgConnection as Connection;
/// Encryption of fields.
pub use encryption::Fields;
pub use postgres::{
    Along, MIGRATIONS, Store, StoreError, Writer, in_transaction, link, process_stands_back,
    thread_stands_back, without_time_limit,
};
pub use reports::{
    call_progress, conversions, experiments, export, limits, new_conversions, outcomes, personal_data,
    placements, response_examples, timeline,
};
pub use tables::{
    acknowledgements, api_keys, audiences, audit, broadcasts, bulk, calls, cleaning, consents, decision_log,
    decisions, deferred, definitions, embeddings, erased_rows, erasures, event_kinds, events,
    experiment_definitions, feedback, fired_once, idempotency, inbox, item_prices, items, jobs, learner,
    lease, lists, merges, models, notifications, outbox, people, person_sessions, preferences, push_keys,
    push_outbox, push_subscriptions, retention, returns, revocations, robots, rules, server, stated_features,
    topics, user_attributes, user_features, users, webhook_outbox, webhook_upkeep, webhooks,
};
