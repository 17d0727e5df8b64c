//! A catalogue of 1,000,000 items: by `PUT`, by import, one change afterwards, and the memory of an item.

use std::io::{BufWriter, Write};
use std::time::Instant;

use serde_json::json;

use crate::http::Http;
use crate::lists::{BATCH, item, put};
use crate::report::{Aim, Report, percentile};
use crate::server::{Server, data_dir, tidings};

const ITEMS: usize = 1_000_000;
const CHANGES: usize = 200;

pub fn run(report: &mut Report) {
    report.setting("items", ITEMS);
    report.setting("items of a PUT", BATCH);
    report.setting("changes", format!("{CHANGES} prices, one item each"));
    let directory = data_dir();
    let server = Server::start("serve", directory.path(), &["--set", "training.interval_s=0"]);
    let before = server.resident_bytes();
    let mut http = Http::connect(server.address);
    let seconds = put(&mut http, ITEMS);
    report.row("1,000,000 items by PUT", seconds, "s", Aim::AtMost(60.0));
    // The content index is made anew beside.
    server.wait_until_idle();
    let mut took = Vec::new();
    for change in 0..CHANGES {
        let id = change * 4_999 % ITEMS;
        let started = Instant::now();
        assert_eq!(http.put("/v1/items", &json!({"item_id": id, "price": 3.5 + change as f64})).status, 200);
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    report.row("one change, p50", percentile(&took, 0.5), "ms", Aim::AtMost(10.0));
    report.row("one change, p99", percentile(&took, 0.99), "ms", Aim::None);
    report.row("memory of an item", (server.resident_bytes() - before) / ITEMS as f64, "B", Aim::None);
    let mut took = Vec::new();
    for user in 0..100 {
        let started = Instant::now();
        let path = format!("/v1/users/{user}/recommendations?category=Category%207");
        assert_eq!(http.get(&path).status, 200);
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    report.row(
        "GET recommendations of a category, without a model, p50",
        percentile(&took, 0.5),
        "ms",
        Aim::None,
    );
    drop(server);
    let directory = data_dir();
    let path = directory.path().join("items.ndjson");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    (0..ITEMS).for_each(|id| writeln!(file, "{}", item(id)).unwrap());
    file.flush().unwrap();
    let data = directory.path().join("data");
    let import = |name: &str, aim: Aim, report: &mut Report| {
        let started = Instant::now();
        let status = tidings()
            .args(["import", "ndjson", "--quiet"])
            .arg(&path)
            .arg("--data-dir")
            .arg(&data)
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
        report.row(name, started.elapsed().as_secs_f64(), "s", aim);
    };
    // The first run also makes the private database, about two seconds.
    import("1,000,000 items by import, into a new database", Aim::AtMost(20.0), report);
    import("the same again, nothing to change", Aim::None, report);
    let server = Server::start("serve", &data, &["--set", "training.interval_s=0"]);
    report.row("start of a server with 1,000,000 items", server.ready_after.as_secs_f64(), "s", Aim::None);
}
