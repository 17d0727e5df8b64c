//! Resident memory per connected user: socket, pipe and profile actor.

use futures_util::future::join_all;

use crate::load;
use crate::report::{Aim, Report};
use crate::server::{Server, data_dir};

const USERS: i64 = 10_000;
const AT_ONCE: usize = 200;

pub fn run(report: &mut Report) {
    let files = load::raise_file_limit();
    let users = USERS.min((files as i64 - 500) / 2 * 2);
    let directory = data_dir();
    report.setting("users", users);
    report.setting("shop", "the demo's: the first 2,000 users have three months of history");
    let server = Server::start(
        "demo",
        directory.path(),
        &["--shoppers", "0", "--set", "training.interval_s=0", "--set", "socket.linger_ms=600000"],
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The first few make lazily allocated parts exist, so that they are not counted.
        let warm = join_all((1..=50).map(|user| load::login(server.address, user))).await;
        let before = server.resident_bytes();
        let started = std::time::Instant::now();
        let mut sockets = Vec::new();
        let all: Vec<i64> = (51..=users + 50).collect();
        for group in all.chunks(AT_ONCE) {
            sockets.extend(join_all(group.iter().map(|user| load::login(server.address, *user))).await);
        }
        let seconds = started.elapsed().as_secs_f64();
        let per_user = (server.resident_bytes() - before) / users as f64 / 1024.0;
        report.row("memory per connected user", per_user, "KB", Aim::AtMost(20.0));
        report.row(
            "logins, recommendation stored and welcome received",
            users as f64 / seconds,
            "/s",
            Aim::None,
        );
        drop((warm, sockets));
    });
}
