//! The catalogue is changed while a model is trained, read, or brought back: what the shop said last holds.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

/// Lets whatever reads a table wait until the connection is dropped.
fn hold(database: &TestDatabase, table: &str) -> PgConnection {
    let mut connection = database.connection();
    connection.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).unwrap();
    connection
}

/// Begins a training, and waits until it waits for the table that is held; the address of the job.
fn train_until_held(http: &mut Http, database: &TestDatabase) -> String {
    let job = http.post("/admin/retrain", &Value::Null).json()["job"].as_str().unwrap().to_owned();
    let waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'tidings background' AND wait_event_type = 'Lock'";
    wait_for("the training to be held", || database.count(waiting) > 0);
    format!("/admin/jobs/{job}")
}

fn ends(http: &mut Http, job: &str) {
    wait_for("the training to end", || http.get(job).json()["state"] != "running");
    let job = http.get(job).json();
    assert_eq!(job["state"], "succeeded", "{job}");
    assert!(job["message"].as_str().unwrap().contains("serves"), "{job}");
}

/// A shop with a history that has to do with some of its mugs only.
fn shop_with_history() -> (TestDatabase, Server) {
    let (database, server) = shop(&["--set", "recommend.exploration=0"]);
    let purchase = |n: i64| json!({"kind": "purchase", "user_id": n % 50, "item_id": 121 + (n * 7) % 10 * 2, "occurred_at": 1_750_000_000 + n * 60});
    let history: Value = (0..600).map(purchase).collect();
    assert_eq!(server.http().post("/v1/events", &history).json()["accepted"], 600);
    (database, server)
}

/// Makes a watch of the mug 101, dearer than it was, and adds a watch.
fn change(http: &mut Http) {
    let watch = |id: i64| json!({"item_id": id, "title": format!("Watch number {id}"), "category": ["Watches"], "price": 12.0});
    assert_eq!(http.put("/v1/items", &json!([watch(101), watch(201)])).status, 200);
}

fn is_changed(server: &Server) {
    let mut http = server.http();
    let item = http.get("/v1/items/101").json();
    assert_eq!((&item["title"], &item["price"]), (&json!("Watch number 101"), &json!(12.0)));
    let similar = http.get("/v1/items/101/similar?n=3").json();
    let titles: Vec<&str> =
        similar["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect();
    assert!(titles.len() == 3 && titles.iter().all(|title| title.starts_with("Watch")), "{titles:?}");
}

#[test]
fn what_is_changed_while_a_model_is_trained_is_so_when_it_serves() {
    let (database, server) = shop_with_history();
    let mut http = server.http();
    let held = hold(&database, "events");
    let job = train_until_held(&mut http, &database);
    change(&mut http);
    assert_eq!(http.delete("/v1/items/103").status, 204);
    drop(held);
    ends(&mut http, &job);
    is_changed(&server);
    assert_eq!(http.get("/v1/items/103").status, 404);
    assert_eq!(http.get("/v1/items/201").json()["title"], "Watch number 201");
}

#[test]
fn what_is_changed_while_the_catalogue_is_read_again_is_not_undone() {
    let (database, server) = shop_with_history();
    let mut http = server.http();
    let held = hold(&database, "item_prices");
    let job = train_until_held(&mut http, &database);
    assert_eq!(http.delete("/v1/items/103").status, 204);
    // It waits for the prices as well, and comes at the moment at which what was read before is made known.
    let mut other = server.http();
    let put = std::thread::spawn(move || change(&mut other));
    wait_for("the change to be held", || {
        database.count(
            "SELECT count(*) AS n FROM pg_locks WHERE relation = 'item_prices'::regclass AND NOT granted",
        ) > 1
    });
    drop(held);
    put.join().unwrap();
    ends(&mut http, &job);
    is_changed(&server);
    assert_eq!(http.get("/v1/items/103").status, 404);
}

#[test]
fn a_model_of_before_a_change_knows_of_it_after_a_start_and_when_it_is_brought_back() {
    let (database, mut server) = shop_with_history();
    assert_eq!(server.retrain()["state"], "succeeded");
    change(&mut server.http());
    is_changed(&server);
    server.kill();
    let server = Server::start(&database.url, &["--set", "recommend.exploration=0"]);
    is_changed(&server);
    assert_eq!(server.retrain()["state"], "succeeded");
    assert_eq!(server.http().post("/admin/models/1/activate", &json!({})).status, 200);
    is_changed(&server);
}

#[test]
fn of_changes_at_one_moment_memory_holds_the_one_that_the_database_holds() {
    let (database, server) = shop(&[]);
    for round in 0..20 {
        std::thread::scope(|scope| {
            for n in 0..6 {
                let mut http = server.http();
                scope.spawn(move || match n {
                    0 if round % 2 == 0 => drop(http.delete("/v1/items/101")),
                    _ => {
                        let item = json!({"item_id": 101, "title": format!("Mug {round} {n}"), "stock": n});
                        assert_eq!(http.put("/v1/items", &item).status, 200);
                    }
                });
            }
        });
        let item = server.http().get("/v1/items/101");
        let stored = match item.status {
            200 => format!("active AND title = '{}'", item.json()["title"].as_str().unwrap()),
            _ => "NOT active".to_owned(),
        };
        let query = format!("SELECT count(*) AS n FROM items WHERE external_id = '101' AND {stored}");
        assert_eq!(database.count(&query), 1, "round {round}: {stored}");
    }
}
