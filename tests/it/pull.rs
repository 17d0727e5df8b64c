//! `tidings pull` from real engines into a real server: nothing lost, nothing doubled, whatever ends when.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;

use diesel::RunQueryDsl;
use serde_json::json;

use crate::helpers::database::TestDatabase;
use crate::helpers::engines::{Nats, Redis, free_port};
use crate::helpers::mariadb::MariaDb;
use crate::helpers::puller::{Puller, block, url};
use crate::helpers::server::{Server, wait_for};

/// Records that a puller can't read while it is killed twenty times, twenty at a time.
pub const MANY: usize = 20_000;
/// Kills, as promised.
const KILLS: usize = 20;
/// A batch small enough that every kill finds one under way.
pub const SMALL: &str = "[batch]\nrecords = 20\nin_flight = 2";

/// Purchases, each of a value of its own.
pub fn purchases(n: usize) -> Vec<String> {
    let now = tidings::base::Timestamp::now().to_string();
    (0..n)
        .map(|n| {
            json!({"kind": "purchase", "user_id": n % 200, "item_id": n % 50, "value": n + 1, "currency": "EUR", "occurred_at": now})
                .to_string()
        })
        .collect()
}

/// Number of events, and of different ones.
pub fn stored(database: &TestDatabase) -> (usize, usize) {
    let count =
        |what: &str| usize::try_from(database.count(&format!("SELECT {what} AS n FROM events"))).unwrap();
    (count("count(*)"), count("count(DISTINCT value)"))
}

/// Waits until so many more events are stored than before.
fn progress(database: &TestDatabase, events: usize) {
    let (before, _) = stored(database);
    wait_for("some events", || stored(database).0 >= before + events);
}

/// Waits until the puller that listens there has had a batch stored or known.
fn settled(metrics: SocketAddr) {
    wait_for("a batch", || {
        let page = std::net::TcpStream::connect(metrics).and_then(|mut socket| {
            socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: puller\r\nConnection: close\r\n\r\n")?;
            let mut page = String::new();
            socket.read_to_string(&mut page).map(|_| page)
        });
        let page = page.unwrap_or_default();
        let count = page.lines().find(|line| line.starts_with("tidings_pull_batches_acknowledged_total"));
        count.is_some_and(|line| !line.ends_with(" 0"))
    });
}

/// Killed twenty times while it reads, then let go on to the end: each record is there, once.
pub fn survives_kills(puller: &Puller, database: &TestDatabase) {
    puller.killed(KILLS, |events| progress(database, events));
    let (events, _) = stored(database);
    assert!(events < MANY, "the kills did not come in the middle");
    puller.rewrite("records = 20", "records = 2000");
    puller.once();
    assert_eq!(stored(database), (MANY, MANY));
}

fn redis_puller(redis: &Redis, url: &str) -> Puller {
    let listen = format!("127.0.0.1:{}", free_port());
    let address = format!("redis://127.0.0.1:{}", redis.port);
    Puller::configured(
        "Redis Streams",
        url,
        &[("redis://127.0.0.1:6379", &address), ("127.0.0.1:9187", &listen)],
    )
}

fn add_to_redis(redis: &Redis, payloads: &[String]) {
    let command = |payload| vec!["XADD", "shop:events", "*", "event", payload];
    let commands: Vec<Vec<&str>> = payloads.iter().map(|payload| command(payload)).collect();
    redis.run(&commands);
}

#[test]
fn redis_is_read_to_its_end_and_what_is_refused_is_kept_with_the_reason() {
    let (database, redis) = (TestDatabase::new(), Redis::start());
    let server = Server::start(&database.url, &[]);
    let puller = redis_puller(&redis, &url(&server));
    let check = puller.run(&["--check"]);
    assert!(String::from_utf8_lossy(&check.stdout).contains("redis stream shop:events"), "{check:?}");
    let mut payloads = purchases(60);
    payloads.push("nonsense".to_owned());
    payloads
        .push(r#"{"kind":"dance","user_id":1,"item_id":1,"occurred_at":"2026-11-28T10:00:00Z"}"#.to_owned());
    payloads.push(r#"{"item_id":"new","title":"New here","price":9.5}"#.to_owned());
    payloads.push(
        r#"{"kind":"view","user_id":1,"item_id":"new","occurred_at":"1985-01-01T00:00:00Z"}"#.to_owned(),
    );
    add_to_redis(&redis, &payloads);
    puller.once();
    assert_eq!(stored(&database), (60, 60));
    assert_eq!(server.http().get("/v1/items/new").json()["title"], "New here");
    let rejects = puller.rejects();
    let reasons: Vec<&str> = rejects.iter().map(|reject| reject["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("too_old")), "{reasons:?}");
    assert!(rejects.iter().any(|reject| reject["content"] == "nonsense"));
    assert_eq!(redis.run(&[vec!["XPENDING", "shop:events", "tidings-shop-redis"]]), "4", "a summary");
    puller.once();
    assert_eq!(stored(&database), (60, 60));
    assert_eq!(puller.rejects().len(), 3, "what is refused is acknowledged");
}

#[test]
fn a_killed_puller_of_redis_loses_and_doubles_nothing() {
    let (database, redis) = (TestDatabase::new(), Redis::start());
    let server = Server::start(&database.url, &[]);
    add_to_redis(&redis, &purchases(MANY));
    survives_kills(&redis_puller(&redis, &url(&server)).with(SMALL), &database);
}

#[test]
fn a_puller_waits_for_its_server_and_reports_to_it() {
    let (database, redis) = (TestDatabase::new(), Redis::start());
    let address = format!("127.0.0.1:{}", free_port());
    let puller = redis_puller(&redis, &format!("http://{address}"));
    add_to_redis(&redis, &purchases(500));
    let mut child = puller.spawn();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["serve", "--listen", &address]).env("DATABASE_URL", &database.url);
    let server = Server::spawn(&mut command);
    wait_for("the events", || stored(&database) == (500, 500));
    wait_for("the report", || server.http().get("/v1/sources").json()["sources"][0]["stored"] == 500);
    let source = &server.http().get("/v1/sources").json()["sources"][0];
    assert_eq!((source["name"].as_str(), source["from"].as_str()), (Some("shop-redis"), Some("redis")));
    // SAFETY: kill(2) on a child that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_wrong_mapping_acknowledges_nothing() {
    let (database, redis) = (TestDatabase::new(), Redis::start());
    let server = Server::start(&database.url, &[]);
    add_to_redis(&redis, &purchases(300));
    let wrong = redis_puller(&redis, &url(&server)).with("[records.map]\nuser_id = \"customer\"");
    let output = wrong.run(&["--once"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stop_share"), "{output:?}");
    redis_puller(&redis, &url(&server)).once();
    assert_eq!(stored(&database), (300, 300));
}

fn outbox_puller(shop: &TestDatabase, url: &str) -> Puller {
    let printed = "postgres://shop:secret@127.0.0.1:5432/shop";
    diesel::sql_query(block("PostgreSQL outbox", "sql")).execute(&mut shop.connection()).unwrap();
    Puller::configured("PostgreSQL outbox", url, &[(printed, &shop.url)])
}

fn add_to_outbox(shop: &TestDatabase, payloads: &[String]) {
    diesel::sql_query("INSERT INTO outbox (payload) SELECT p::jsonb FROM unnest($1) AS p")
        .bind::<diesel::sql_types::Array<diesel::sql_types::Text>, _>(payloads)
        .execute(&mut shop.connection())
        .unwrap();
}

#[test]
fn rows_of_an_outbox_that_are_committed_late_are_not_lost() {
    let (database, shop) = (TestDatabase::new(), TestDatabase::empty());
    let server = Server::start(&database.url, &[]);
    let puller = outbox_puller(&shop, &url(&server));
    let payloads = purchases(3);
    let mut late = shop.connection();
    let insert = |payload: &str| format!("INSERT INTO outbox (payload) VALUES ('{payload}')");
    diesel::sql_query("BEGIN").execute(&mut late).unwrap();
    diesel::sql_query(insert(&payloads[0])).execute(&mut late).unwrap();
    add_to_outbox(&shop, &payloads[1..2]);
    let mut child = puller.spawn();
    wait_for("the first row", || stored(&database) == (1, 1));
    diesel::sql_query("COMMIT").execute(&mut late).unwrap();
    wait_for("the late row, whose id is lower", || stored(&database) == (2, 2));
    add_to_outbox(&shop, &payloads[2..]);
    wait_for("the next", || stored(&database) == (3, 3));
    wait_for("the table to be empty", || shop.count("SELECT count(*) AS n FROM outbox") == 0);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_puller_of_an_outbox_loses_and_doubles_nothing() {
    let (database, shop) = (TestDatabase::new(), TestDatabase::empty());
    let server = Server::start(&database.url, &[]);
    let puller = outbox_puller(&shop, &url(&server)).with(SMALL);
    add_to_outbox(&shop, &purchases(MANY));
    survives_kills(&puller, &database);
    assert_eq!(shop.count("SELECT count(*) AS n FROM outbox"), 0);
}

fn nats_puller(nats: &Nats, url: &str) -> Puller {
    let address = format!("nats://127.0.0.1:{}", nats.port);
    nats.stream("SHOP", &["shop.events", "shop.rejected"]);
    Puller::configured("NATS JetStream", url, &[("nats://127.0.0.1:4222", &address)])
        .replacing("subject = \"shop.events\"", "subject = \"shop.events\"\nack_wait_s = 5")
}

#[test]
fn a_killed_puller_of_nats_loses_and_doubles_nothing() {
    let (database, nats) = (TestDatabase::new(), Nats::start());
    let server = Server::start(&database.url, &[]);
    let puller = nats_puller(&nats, &url(&server)).with(SMALL);
    nats.publish("shop.events", &purchases(MANY));
    survives_kills(&puller, &database);
}

#[test]
fn nats_keeps_what_is_refused_under_a_subject() {
    let (database, nats) = (TestDatabase::new(), Nats::start());
    let server = Server::start(&database.url, &[]);
    let puller = nats_puller(&nats, &url(&server)).with("[rejects]\ntopic = \"shop.rejected\"");
    let mut payloads = purchases(5);
    payloads.push("nonsense".to_owned());
    nats.publish("shop.events", &payloads);
    puller.once();
    assert_eq!(stored(&database), (5, 5));
    let info = nats.request("$JS.API.STREAM.INFO.SHOP", "");
    assert_eq!(info["state"]["messages"], 7, "six, and the refused one under its own subject: {info}");
}

fn binlog_puller(shop: &MariaDb, url: &str) -> Puller {
    shop.execute(&format!("USE shop; {}", block("MySQL and MariaDB binlog", "sql")));
    let address = format!("127.0.0.1:{}", shop.port);
    Puller::configured("MySQL and MariaDB binlog", url, &[("127.0.0.1:3306", &address)])
}

/// Orders with the values `from` to `to`, in one statement.
fn order(shop: &MariaDb, from: usize, to: usize) {
    shop.execute(&format!(
        "USE shop; INSERT INTO orders (customer, sku, pieces, total) SELECT seq % 200, seq % 50, 1, seq FROM seq_{from}_to_{to}"
    ));
}

#[test]
fn a_binlog_is_followed_from_a_snapshot_on() {
    let (database, shop) = (TestDatabase::new(), MariaDb::with_binlog());
    let server = Server::start(&database.url, &[]);
    let puller = binlog_puller(&shop, &url(&server));
    order(&shop, 1, 3_000);
    puller.once();
    assert_eq!(stored(&database), (3_000, 3_000));
    order(&shop, 3_001, 3_500);
    // Neither a change nor another table is an event; a new column changes nothing for those that are mapped.
    shop.execute(
        "USE shop; UPDATE orders SET pieces = 2 WHERE id = 7; DELETE FROM orders WHERE id = 8; CREATE TABLE other (id int); \
         INSERT INTO other VALUES (1); FLUSH BINARY LOGS; ALTER TABLE orders ADD note varchar(20) AFTER sku; \
         INSERT INTO orders (customer, sku, note, pieces, total) VALUES (1, 'late', 'x', 1, 9999)",
    );
    // Rows from before the change have other columns than the table has now: refused with the cure rather than misread.
    let output = puller.run(&["--once"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("columns"), "{output:?}");
}

#[test]
fn changed_rows_of_a_table_of_items_change_the_catalogue() {
    let (database, shop) = (TestDatabase::new(), MariaDb::with_binlog());
    let server = Server::start(&database.url, &[]);
    shop.execute(
        "USE shop; CREATE TABLE orders (sku varchar(20) CHARACTER SET latin1 PRIMARY KEY, name varchar(40) CHARACTER SET latin1, \
         price decimal(8,2), kind enum('a','b')); INSERT INTO orders VALUES ('A', 'Café', 9.5, 'a'), ('B', 'Tea', 3, 'b')",
    );
    let address = format!("127.0.0.1:{}", shop.port);
    let printed = "kind = \"purchase\"\n";
    let puller =
        Puller::configured("MySQL and MariaDB binlog", &url(&server), &[("127.0.0.1:3306", &address)])
            .replacing(printed, "")
            .replacing("user_id = \"customer\"\n", "title = \"name\"\n")
            .replacing(
                "quantity = \"pieces\"\nvalue = \"total\"\noccurred_at = \"placed_at\"",
                "kind = \"no\"",
            );
    puller.once();
    let mut http = server.http();
    assert_eq!(http.get("/v1/items/A").json()["title"], "Café");
    shop.execute("USE shop; UPDATE orders SET name = 'Thé', price = 10 WHERE sku = 'A'; DELETE FROM orders WHERE sku = 'B'");
    puller.once();
    let item = http.get("/v1/items/A").json();
    assert_eq!((item["title"].as_str(), item["price"].as_f64()), (Some("Thé"), Some(10.0)));
    assert_eq!(http.get("/v1/items/B").status, 404);
}

#[test]
fn a_killed_puller_of_a_binlog_loses_and_doubles_nothing() {
    let (database, shop) = (TestDatabase::new(), MariaDb::with_binlog());
    let server = Server::start(&database.url, &[]);
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listen = format!("{SMALL}\n[metrics]\nlisten = \"{metrics}\"");
    let puller = binlog_puller(&shop, &url(&server)).with(&listen);
    // First in the snapshot, which begins again each time, then in the log.
    order(&shop, 1, 2_000);
    puller.killed(1, |events| progress(&database, events));
    puller.killed(KILLS / 2, |_| settled(metrics));
    puller.once();
    assert_eq!(stored(&database), (2_000, 2_000));
    // In transactions small and large.
    (2_001..MANY - 5_000).step_by(500).for_each(|from| order(&shop, from, from + 499));
    order(&shop, MANY - 4_999, MANY);
    survives_kills(&puller, &database);
}
