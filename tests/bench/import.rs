//! Imports: half a million invoice lines as CSV and as a workbook, and 100,000 users with stated features from MariaDB, clustered and
//! printed. The invoices are skipped without their file; MariaDB must be installed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::mariadb::MariaDb;
use crate::report::{Aim, Report};
use crate::server::{Server, data_dir, tidings};
use crate::workbook::{self, Cell};

/// Users of the table of features.
const USERS: usize = 100_000;

pub fn run(report: &mut Report) {
    let data = std::env::var_os("TIDINGS_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let invoices = data.join("online-retail/online_retail.csv.gz");
    if invoices.exists() {
        let directory = tempfile::tempdir().unwrap();
        let book = directory.path().join("online_retail.xlsx");
        let rows = as_workbook(&invoices, &book);
        report.setting(
            "workbook",
            format!("{rows} rows, {} MB", std::fs::metadata(&book).unwrap().len() / 1_000_000),
        );
        for (name, file, aim) in
            [("Online Retail, csv.gz", &invoices, 5.0), ("Online Retail, xlsx", &book, 12.0)]
        {
            // So that the start of PostgreSQL is not counted.
            let data_dir = data_dir();
            let server = Server::start("serve", data_dir.path(), &["--set", "training.interval_s=0"]);
            let file = file.to_str().unwrap();
            let arguments = ["import", "online-retail", "--quiet", file, "--rejects", "/dev/null"];
            report.row(name, timed(data_dir.path(), &arguments).0, "s", Aim::AtMost(aim));
            drop(server);
        }
    } else {
        report.absent("Online Retail", "no online-retail/online_retail.csv.gz below TIDINGS_DATA");
    }
    stated(report);
}

/// Seconds of a command, and what it printed.
fn timed(data_dir: &Path, arguments: &[&str]) -> (f64, String) {
    let started = Instant::now();
    let output = tidings().args(arguments).arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (started.elapsed().as_secs_f64(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Writes the same rows as a workbook: numbers as numbers, dates as dates.
fn as_workbook(invoices: &Path, book: &Path) -> usize {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(invoices).unwrap()).read_to_end(&mut text).unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*text);
    let cell = |text: &str| match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Cell::Number(number),
        _ if text.is_empty() => Cell::Empty,
        _ => match text.replace(' ', "T").parse::<jiff::civil::DateTime>() {
            Ok(moment) => {
                let epoch = jiff::civil::date(1899, 12, 30).to_datetime(jiff::civil::Time::midnight());
                Cell::Moment(moment.duration_since(epoch).as_secs_f64() / 86_400.0)
            }
            Err(_) => Cell::Text(text.to_owned()),
        },
    };
    let mut n = 0;
    let rows = reader.byte_records().map(|record| {
        n += 1;
        let record = record.unwrap();
        record.iter().map(|field| cell(&String::from_utf8_lossy(field))).collect::<Vec<Cell>>()
    });
    workbook::write(book, vec![("Online Retail", rows)]);
    n - 1
}

/// The table of features and the table of items from MariaDB: read, clustered, printed.
fn stated(report: &mut Report) {
    let shop = MariaDb::start();
    // Spread evenly around the means, each by a multiple of its own.
    let rate = |mean: f64, user: usize, by: usize| {
        (mean * (0.25 + 1.5 * (user * by % 1_009) as f64 / 1_009.0) * 100.0).round() / 100.0
    };
    let groups =
        [(24.0, 300.0, 30.0), (12.0, 60.0, 2.0), (6.0, 500.0, 80.0), (2.0, 20.0, 10.0), (0.5, 5.0, 1.0)];
    shop.execute(
        "USE shop; CREATE TABLE user_behavior (user_id int PRIMARY KEY, purchase_frequency double, browsing_duration double, \
         search_frequency double);",
    );
    for first in (0..USERS).step_by(10_000) {
        let rows: Vec<String> = (first..first + 10_000)
            .map(|user| {
                let (purchases, minutes, searches) = groups[user % groups.len()];
                let (purchases, minutes) = (rate(purchases, user, 7), rate(minutes, user, 31));
                format!("({},{purchases},{minutes},{})", user + 1, rate(searches, user, 101))
            })
            .collect();
        shop.execute(&format!("USE shop; INSERT INTO user_behavior VALUES {}", rows.join(",")));
    }
    let data_dir = data_dir();
    let server = Server::start("serve", data_dir.path(), &["--set", "training.interval_s=0"]);
    let url = shop.url();
    let (read, _) = timed(data_dir.path(), &["import", &url, "--table", "user_behavior", "--quiet"]);
    let (clustered, _) = timed(data_dir.path(), &["train"]);
    let (segments, means) = timed(data_dir.path(), &["segments"]);
    let (users, printed) = timed(data_dir.path(), &["users", "--profile"]);
    assert_eq!((means.lines().count(), printed.lines().count()), (6, USERS + 1));
    report.row("100,000 users from MariaDB, read", read, "s", Aim::None);
    report.row("100,000 users, clustered", clustered, "s", Aim::None);
    report.row("100,000 users, both tables printed", segments + users, "s", Aim::None);
    report.row("100,000 users, all of it", read + clustered + segments + users, "s", Aim::AtMost(5.0));
    drop(server);
}
