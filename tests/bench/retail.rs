//! Half a million real purchases: import, train, first recommendation. Skipped without the file.

use std::path::PathBuf;
use std::time::Instant;

use tidings::store::Store;
use tidings::store::cluster::{Cluster, ClusterOptions};

use crate::answers;
use crate::http::Http;
use crate::report::{Aim, Report, percentile};
use crate::server::{Server, data_dir, tidings};

pub fn run(report: &mut Report) {
    let data = std::env::var_os("TIDINGS_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let file = data.join("online-retail/online_retail.csv.gz");
    if !file.exists() {
        println!("  skipped: no online-retail/online_retail.csv.gz below TIDINGS_DATA");
        return;
    }
    report.setting("data", "UCI Online Retail, 541,909 rows");
    let directory = data_dir();
    // So that the start of PostgreSQL is not counted.
    let server = Server::start("serve", directory.path(), &["--set", "training.interval_s=0"]);
    let run = |arguments: &[&str]| {
        let started = Instant::now();
        let output = tidings().args(arguments).arg("--data-dir").arg(directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (started.elapsed().as_secs_f64(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (seconds, _) =
        run(&["import", "online-retail", "--quiet", file.to_str().unwrap(), "--rejects", "/dev/null"]);
    report.row("import", seconds, "s", Aim::AtMost(15.0));
    let mut http = Http::connect(server.address);
    report.row("train, evaluate, store, swap", train(&mut http), "s", Aim::AtMost(10.0));
    let started = Instant::now();
    let first = http.get("/v1/users/17850/recommendations?n=10");
    report.row(
        "first recommendation, read from the tables",
        started.elapsed().as_secs_f64() * 1e3,
        "ms",
        Aim::AtMost(5.0),
    );
    assert_eq!(first.json()["items"].as_array().unwrap().len(), 10);
    let mut p99 = |path: &str| {
        let samples: Vec<f64> = (0..300)
            .map(|_| {
                let started = Instant::now();
                assert_eq!(http.get(path).status, 200);
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        percentile(&samples, 0.99)
    };
    let similar = p99("/v1/items/85123A/similar?n=10");
    report.row("similar items over HTTP, p99", similar, "ms", Aim::None);
    let list = p99("/v1/users/17850/recommendations?n=10");
    report.row("recommendations of an absent user over HTTP, p99", list, "ms", Aim::AtMost(5.0));
    let metrics = http.get("/admin/metrics").json();
    for name in ["ndcg@10", "hit_rate@10", "recall@10", "coverage@10"] {
        let value = metrics["model"]["metrics"][name].as_f64().unwrap_or(f64::NAN);
        report.row(&format!("hold-out in time, {name}"), value, "", Aim::None);
    }
    drop(server);
    let cluster = Cluster::start(directory.path(), &ClusterOptions::default()).unwrap();
    answers::run(report, &Store::connect(&cluster.url(), 2).unwrap());
}

/// Trains once. Returns the time until the new model served, seconds.
fn train(http: &mut Http) -> f64 {
    let started = Instant::now();
    let job =
        http.post("/admin/retrain", &serde_json::Value::Null).json()["job"].as_str().unwrap().to_owned();
    let ended = loop {
        let job = http.get(&format!("/admin/jobs/{job}")).json();
        if job["state"] != "running" {
            break job;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(ended["state"], "succeeded", "{ended}");
    started.elapsed().as_secs_f64()
}
