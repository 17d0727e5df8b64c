//! `tidings-pull`: records of a stream or a table of the shop, made into events and items and posted to a Tidings server.
//!
//! A process of its own beside the server; several may run. Modules in the order a record flows: `source/` reads records in
//! batches, `translate.rs` makes them into events and items (the crate `tidings-intake` does the mapping), `deliver/` posts
//! them, `pipeline.rs` acknowledges a batch to its source once the server has stored all of it. Every event carries an id made
//! of source, partition and offset, so that what is read twice after a crash is stored once.

mod command;
mod config;
mod deliver;
mod observe;
mod pipeline;
mod rejects;
mod relay;
mod source;
mod tls;
mod translate;

fn main() -> std::process::ExitCode {
    command::run()
}
