//! Embeddings that come with items: taken, refused, replaced, erased, exported, imported, and found by in lists.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;
use crate::helpers::shop::shop;

fn tidings(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(arguments).env("DATABASE_URL", &database.url).env("TIDINGS_LOG", "warn");
    command.output().unwrap()
}

/// Items 301…316 of which nothing is said, those with the same remainder by four with alike vectors.
fn wordless() -> Value {
    let item = |id: i64| {
        let vector: Vec<f64> =
            (0..4).map(|axis| if axis == id % 4 { 1.0 } else { 0.4 + 0.01 * id as f64 % 0.05 }).collect();
        json!({"item_id": id, "title": format!("Article {id}"), "embedding": vector})
    };
    (301..317).map(item).collect()
}

fn ids(list: &Value) -> Vec<i64> {
    list["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_i64().unwrap()).collect()
}

fn length(server: &Server, item: i64) -> Value {
    server.http().get(&format!("/v1/items/{item}")).json()["embedding_length"].clone()
}

#[test]
fn items_that_nobody_touched_are_found_by_their_embeddings_at_once() {
    let (_database, server) = shop(&["--set", "recommend.exploration=0"]);
    let mut http = server.http();
    assert_eq!(http.put("/v1/items", &wordless()).json()["items"], 16);
    assert_eq!((length(&server, 301), length(&server, 101)), (json!(4), Value::Null));
    let similar = http.get("/v1/items/301/similar?n=3").json();
    assert!(ids(&similar).iter().all(|id| id % 4 == 301 % 4), "{similar:#}");
    assert_eq!(http.post("/v1/events", &json!({"kind": "view", "user_id": 7, "item_id": 302})).status, 202);
    let list = http.get("/v1/users/7/recommendations?n=3").json();
    assert!(ids(&list).iter().all(|id| *id > 300 && id % 4 == 302 % 4), "{list:#}");
    assert_eq!(list["items"][0]["reason"], "because you viewed Article 302");

    // The one that points elsewhere now is no longer alike, and neither is one without.
    let changed =
        json!([{"item_id": 306, "embedding": [-1, 0, 0.5, -1]}, {"item_id": 310, "embedding": null}]);
    assert_eq!(http.put("/v1/items", &changed).status, 200);
    let list = ids(&http.get("/v1/users/7/recommendations?n=5").json());
    assert_eq!(list[0], 314, "{list:?}");
    assert_eq!(length(&server, 310), Value::Null);
    assert_eq!(server.retrain()["state"], "succeeded");
    let list = ids(&server.http().get("/v1/users/7/recommendations?n=1").json());
    assert_eq!(list, [314], "trained, they still are");
}

#[test]
fn one_length_holds_for_all_until_they_are_erased() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let two = json!([{"item_id": 101, "embedding": [1, 0]}, {"item_id": 102, "embedding": [1, 0, 1]}]);
    let answer = http.put("/v1/items", &two).json();
    assert_eq!((&answer["items"], &answer["rejected"][0]["field"]), (&json!(1), &json!("embedding")));
    for (vector, says) in [
        (json!([]), "has 0"),
        (json!([0, 0]), "no direction"),
        (json!([1, 2, 3]), "DELETE /v1/embeddings"),
        (json!("x"), "sequence"),
    ] {
        let refused = http.put("/v1/items", &json!({"item_id": 103, "embedding": vector}));
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(says), "{}", refused.body);
    }
    assert_eq!(http.delete("/v1/items/101").status, 204);
    assert_eq!(http.put("/v1/items", &json!({"item_id": 103, "embedding": [1, 2, 3]})).status, 200);
    assert_eq!(http.put("/v1/items", &json!({"item_id": 101, "title": "Back"})).status, 200);
    assert_eq!(length(&server, 101), Value::Null, "a deleted item has lost it");
    assert_eq!(http.delete("/v1/embeddings").json(), json!({"erased": 1}));
    assert_eq!(http.put("/v1/items", &json!({"item_id": 103, "embedding": [1, 2]})).status, 200);
    assert_eq!(database.count("SELECT count(*) AS n FROM items WHERE embedding IS NOT NULL"), 1);
    drop(server);
    let server = Server::start(&database.url, &[]);
    assert_eq!((length(&server, 103), length(&server, 102)), (json!(2), Value::Null), "read at the start");
}

#[test]
fn of_an_erasure_and_a_change_at_once_the_later_one_holds_in_memory_as_it_does_in_the_database() {
    let (database, server) = shop(&[]);
    let item = json!({"item_id": 101, "embedding": [1, 0, 2]});
    for round in 0..40 {
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(server.http().put("/v1/items", &item).status, 200));
            scope.spawn(|| assert_eq!(server.http().delete("/v1/embeddings").status, 200));
        });
        let stored = database.count("SELECT count(*) AS n FROM items WHERE embedding IS NOT NULL");
        assert_eq!(length(&server, 101).is_number(), stored == 1, "round {round}");
    }
}

#[test]
fn embeddings_are_imported_in_each_form_exported_and_replaced_as_a_whole() {
    let database = TestDatabase::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let vectors = |database: &TestDatabase| {
        let count = "SELECT count(*) AS n FROM items WHERE embedding = '{0.5,-2,0.001}'";
        database.count(count)
    };
    let csv = file(
        "items.csv",
        "item_id,title,embedding\n1,One,0.5 -2 0.001\n2,Two,\"[0.5, -2, 1e-3]\"\n3,Three,\n",
    );
    let output = tidings(&database, &["import", "csv", &csv]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(vectors(&database), 2);
    let lines =
        file("items.ndjson", "{\"item_id\": 3, \"title\": \"Three\", \"embedding\": [0.5, -2.0, 0.001]}\n");
    assert!(tidings(&database, &["import", "ndjson", &lines]).status.success());
    assert_eq!(vectors(&database), 3);

    let copy = TestDatabase::new();
    for name in ["copy.csv", "copy.ndjson", "copy.parquet"] {
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        assert!(tidings(&database, &["export", "items", &path]).status.success());
        let output = tidings(&copy, &["import", "exported", &path]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(vectors(&copy), 3, "{name}");
        copy.execute("DELETE FROM items").unwrap();
    }

    let longer = file("longer.csv", "item_id,title,embedding\n1,One,1 2 3 4\n");
    let refused = tidings(&database, &["import", "csv", &longer]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("--catalogue replace"), "{told}");
    assert_eq!(vectors(&database), 3);
    assert!(tidings(&database, &["import", "csv", &longer, "--catalogue", "replace"]).status.success());
    assert_eq!(database.count("SELECT count(*) AS n FROM items WHERE embedding IS NOT NULL"), 1);
}
