//! Users with stated features and items with attributes, from CSV and from MariaDB: segments, profiles, recommendations.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::mariadb::MariaDb;
use crate::helpers::server::Server;

/// Users a group; group n buys less than group n − 1.
const GROUP: usize = 40;
const GROUPS: [(f64, f64, f64); 5] =
    [(24.0, 300.0, 30.0), (12.0, 60.0, 2.0), (6.0, 500.0, 80.0), (2.0, 20.0, 10.0), (0.5, 5.0, 1.0)];

pub fn tidings(database: &TestDatabase, directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .current_dir(directory)
        .env("DATABASE_URL", &database.url)
        .env("TIDINGS_LOG", "warn")
        .output()
        .unwrap()
}

/// Standard output of a command that succeeds.
pub fn done(database: &TestDatabase, directory: &Path, arguments: &[&str]) -> String {
    let output = tidings(database, directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// User, purchases, minutes, searches.
fn users() -> Vec<(usize, f64, f64, f64)> {
    (0..GROUP * GROUPS.len())
        .map(|user| {
            let (purchases, minutes, searches) = GROUPS[user % GROUPS.len()];
            let jitter = 1.0 + (user / GROUPS.len()) as f64 / 1_000.0;
            (user + 1, purchases * jitter, minutes * jitter, searches * jitter)
        })
        .collect()
}

/// Item, colour, material.
fn items() -> Vec<(usize, &'static str, &'static str)> {
    let (colours, materials) = (["red", "green", "blue", "black"], ["oak", "steel", "glass"]);
    (0..48).map(|item| (item + 1, colours[item % 4], materials[item / 4 % 3])).collect()
}

fn check(database: &TestDatabase, directory: &Path) {
    done(database, directory, &["train"]);
    let segments = done(database, directory, &["segments", "--json"]);
    let segments: Vec<Value> = segments.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let letters: Vec<&str> = segments.iter().map(|segment| segment["segment"].as_str().unwrap()).collect();
    assert_eq!(letters, ["A", "B", "C", "D", "E"]);
    for (segment, (purchases, minutes, searches)) in segments.iter().zip(GROUPS) {
        assert_eq!(segment["users"], json!(GROUP), "{segment}");
        for (name, expected) in [
            ("purchases_per_month", purchases),
            ("browsing_minutes_per_month", minutes),
            ("searches_per_month", searches),
        ] {
            let mean = segment[name].as_f64().unwrap();
            assert!((mean / expected - 1.0195).abs() < 1e-9, "{name} of {segment}");
        }
    }
    let csv = done(database, directory, &["users", "--profile", "--csv"]);
    let mut lines = csv.lines();
    let header = "user_id,segment,purchases_per_month,browsing_minutes_per_month,searches_per_month";
    assert_eq!(lines.next(), Some(header));
    for ((user, purchases, minutes, searches), line) in users().into_iter().zip(lines.by_ref()) {
        let letter = letters[(user - 1) % GROUPS.len()];
        assert_eq!(line, format!("{user},{letter},{purchases},{minutes},{searches}"));
    }
    assert_eq!(lines.next(), None);
    let text = done(database, directory, &["users", "--profile", "--segment", "B"]);
    assert_eq!(text.lines().count(), GROUP + 1);
    assert!(text.lines().skip(1).all(|line| line.split_whitespace().nth(1) == Some("B")), "{text}");
}

fn check_served(database: &TestDatabase) {
    let server =
        Server::start(&database.url, &["--set", "recommend.exploration=0", "--set", "recommend.diversity=0"]);
    let mut http = server.http();
    let profile = http.get("/v1/users/3/profile").json();
    assert_eq!(profile["segment"], "C", "{profile}");
    assert_eq!(profile["features"]["browsing_minutes_per_month"], 500.0, "{profile}");
    assert_eq!(profile["events"], 0);
    let listed = http.get("/v1/users/3/recommendations?n=5").json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 5, "{listed}");
    // A view of a red one of oak: what shares both attributes comes first.
    let view = json!({"kind": "view", "user_id": 3, "item_id": 1, "dwell_ms": 30_000});
    assert_eq!(http.post("/v1/events", &view).json()["accepted"], 1);
    let listed = http.get("/v1/users/3/recommendations?n=3").json();
    let same: Vec<String> = items()
        .into_iter()
        .filter(|(item, colour, material)| *item != 1 && (*colour, *material) == ("red", "oak"))
        .map(|(item, ..)| item.to_string())
        .collect();
    assert_eq!(same.len(), 3);
    for item in listed["items"].as_array().unwrap() {
        let id = item["item_id"].to_string();
        assert!(same.contains(&id.trim_matches('"').to_owned()), "{id} of {listed}");
    }
}

#[test]
fn a_table_of_features_from_csv_is_clustered_and_a_table_of_attributes_recommended() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let mut text = "user_id,purchase_frequency,browsing_duration,search_frequency\n".to_owned();
    for (user, purchases, minutes, searches) in users() {
        text += &format!("{user},{purchases},{minutes},{searches}\n");
    }
    std::fs::write(directory.path().join("user_behavior.csv"), text).unwrap();
    let mut text = "item_id,item_attribute_1,item_attribute_2\n".to_owned();
    for (item, colour, material) in items() {
        text += &format!("{item},{colour},{material}\n");
    }
    std::fs::write(directory.path().join("items.csv"), text).unwrap();
    let refused = tidings(&database, directory.path(), &["segments"]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("tidings train"));
    let import = ["import", "csv", "user_behavior.csv", "items.csv"];
    let summary = done(&database, directory.path(), &import);
    assert!(summary.contains("features of 200 users, new or changed"), "{summary}");
    assert!(summary.contains("48 named, 48 new"), "{summary}");
    let again = done(&database, directory.path(), &import);
    assert!(!again.contains("features of") && again.contains("0 new, 0 changed"), "{again}");
    check(&database, directory.path());
    check_served(&database);
}

#[test]
fn the_same_tables_are_read_from_mariadb() {
    let (database, shop) = (TestDatabase::new(), MariaDb::start());
    let directory = tempfile::tempdir().unwrap();
    let users: Vec<String> = users()
        .into_iter()
        .map(|(user, purchases, minutes, searches)| format!("({user},{purchases},{minutes},{searches})"))
        .collect();
    let items: Vec<String> = items()
        .into_iter()
        .map(|(item, colour, material)| format!("({item},'{colour}','{material}')"))
        .collect();
    shop.execute(&format!(
        "USE shop; CREATE TABLE user_behavior (user_id int PRIMARY KEY, purchase_frequency double, browsing_duration double, \
         search_frequency double); INSERT INTO user_behavior VALUES {}; CREATE TABLE items (item_id int PRIMARY KEY, \
         item_attribute_1 varchar(50), item_attribute_2 varchar(50)); INSERT INTO items VALUES {};",
        users.join(","),
        items.join(",")
    ));
    let url = shop.url();
    done(&database, directory.path(), &["import", &url, "--table", "user_behavior"]);
    let query = "SELECT item_id, item_attribute_1, item_attribute_2 FROM items ORDER BY item_id;";
    done(&database, directory.path(), &["import", &url, "--query", query]);
    check(&database, directory.path());
    // Faults are told without the password.
    for (arguments, says) in [
        (["import", &url, "--table", "nothing"], "nothing' doesn't exist"),
        (["import", &url, "--query", "DROP TABLE items"], "READ ONLY transaction"),
        (["import", &url.replace("ss@", "sss@"), "--table", "items"], "Access denied"),
    ] {
        let output = tidings(&database, directory.path(), &arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(says), "{arguments:?}: {text}");
        assert!(!text.contains("p%40") && !text.contains("p@ss"), "{text}");
    }
}
