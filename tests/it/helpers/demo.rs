//! The simulated shop with a shorter history: made and trained once a test process, and a copy of it for each test.

use std::process::Command;
use std::sync::OnceLock;

use tidings::base::Timestamp;
use tidings::demo::{self, DemoSize};

use super::database::TestDatabase;
use super::server::Server;

/// Its database is kept and never connected to again: a template must have no connections.
static MADE: OnceLock<String> = OnceLock::new();

/// A copy of its own, served to this many live shoppers.
pub fn demo(live_shoppers: &str) -> (TestDatabase, Server) {
    let database = TestDatabase::copy_of(MADE.get_or_init(make));
    let server = start(&database, "127.0.0.1:0", live_shoppers);
    (database, server)
}

/// Serves the copy.
pub fn start(database: &TestDatabase, listen: &str, live_shoppers: &str) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["demo", "--seed", "1", "--shoppers", live_shoppers, "--listen", listen]);
    Server::spawn(command.env("DATABASE_URL", &database.url))
}

fn make() -> String {
    let database = TestDatabase::new();
    let size = DemoSize { n_shoppers: 250, ..DemoSize::of_seed(1) };
    demo::load_sized(&database.store, size, Timestamp::now(), &mut |_, _| {}).unwrap();
    // Its first start trains the model that the copies serve.
    let ended = start(&database, "127.0.0.1:0", "0").terminate();
    assert!(ended.success(), "{ended}");
    database.into_template()
}
