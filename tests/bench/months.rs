//! The same events over one month and over 264: what import, the reading for training and a login's reading cost.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use tidings::base::{Timestamp, UserId};
use tidings::store::cluster::{Cluster, ClusterOptions};
use tidings::store::{Store, events, users};

use crate::report::{Aim, Report, median};
use crate::server::{data_dir, tidings};

const EVENTS: i64 = 100_000;
const USERS: i64 = 2_000;
const SPANS: [i64; 2] = [1, 264];
const RUNS: usize = 5;
/// 2026-11-01, the end of both spans.
const END: i64 = 1_793_491_200;

pub fn run(report: &mut Report) {
    report.setting("events", EVENTS);
    report.setting("users", USERS);
    report.setting("runs", RUNS);
    let measured = SPANS.map(|months| measure(report, months));
    let [one, many] = measured;
    for (index, name) in
        ["import", "reading for training", "reading a user at a login"].into_iter().enumerate()
    {
        report.versus(&format!("{name}: 264 months / 1"), (many[index], one[index]), "s", Aim::AtMost(1.5));
    }
}

/// Medians in seconds: import, reading for training, reading one user.
fn measure(report: &mut Report, months: i64) -> [f64; 3] {
    let (directory, files) = (data_dir(), data_dir());
    let file = files.path().join("events.csv");
    std::fs::write(&file, history(months)).unwrap();
    let cluster = Cluster::start(directory.path(), &ClusterOptions::default()).unwrap();
    let store = Store::connect(&cluster.url(), 2).unwrap();
    store.migrate().unwrap();
    let mut imports: Vec<f64> = (0..RUNS)
        .map(|_| {
            store
                .run_blocking(|connection| {
                    use diesel::connection::SimpleConnection;
                    Ok(connection.batch_execute("TRUNCATE events, event_receipts")?)
                })
                .unwrap();
            let started = Instant::now();
            let output = tidings()
                .args(["import", "csv", "--quiet"])
                .arg(&file)
                .env("DATABASE_URL", cluster.url())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            started.elapsed().as_secs_f64()
        })
        .collect();
    let mut readings: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            let read = store
                .run_blocking(|connection| events::for_each(connection, |_| ControlFlow::Continue(())))
                .unwrap();
            assert_eq!(read, EVENTS as u64);
            started.elapsed().as_secs_f64()
        })
        .collect();
    let mut logins: Vec<f64> = (0..200u32)
        .map(|user| {
            let started = Instant::now();
            let states = store
                .run_blocking(|connection| {
                    users::load_states(connection, store.fields(), &[UserId(user)], Timestamp::now())
                })
                .unwrap();
            assert!(states.iter().all(|state| !state.events.is_empty()));
            started.elapsed().as_secs_f64()
        })
        .collect();
    let medians = [median(&mut imports), median(&mut readings), median(&mut logins)];
    report.row(&format!("import, {months} months"), medians[0], "s", Aim::None);
    report.row(&format!("reading for training, {months} months"), medians[1] * 1e3, "ms", Aim::None);
    report.row(&format!("reading a user at a login, {months} months"), medians[2] * 1e3, "ms", Aim::None);
    medians
}

/// Events at equal distances over the time, everybody's over all of it.
fn history(months: i64) -> String {
    let mut text = String::from("user_id,item_id,kind,occurred_at\n");
    let step = months * 30 * 86_400 / EVENTS;
    for n in 0..EVENTS {
        let at = Timestamp::from_seconds(END - (EVENTS - n) * step.max(1));
        writeln!(
            text,
            "{},{},{},{at}",
            (n * 7_919) % USERS,
            (n * 31) % 5_000,
            ["view", "purchase"][(n % 2) as usize]
        )
        .unwrap();
    }
    text
}
