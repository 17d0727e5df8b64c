//! Kinds of events of the shop's own: taken, counted with their weight, shown, and refused where nobody configured them.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

const KINDS: [&str; 4] = [
    "--set",
    "event.kinds={wishlist = 0.7, quiz = {weight = 0, item = false}}",
    "--set",
    "training.interval_s=0",
];

fn profile(server: &Server) -> Value {
    server.http().get("/v1/users/u1/profile").json()
}

#[test]
fn a_kind_of_the_shop_is_taken_counted_and_shown() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &KINDS);
    let mut http = server.http();
    let items: Value =
        (1..=6).map(|n| json!({"item_id": n, "title": format!("Item {n}"), "category": "Lamps"})).collect();
    assert_eq!(http.put("/v1/items", &items).status, 200);
    let events = json!([
        {"kind": "wishlist", "user_id": "u1", "item_id": 1},
        {"kind": "quiz", "user_id": "u1"},
        {"kind": "wishlist", "user_id": "u1"},
        {"kind": "wish_list", "user_id": "u1", "item_id": 1},
    ]);
    let answer = http.post("/v1/events", &events).json();
    assert_eq!(answer["accepted"], 2, "{answer}");
    assert_eq!(
        (&answer["rejected"][0]["field"], &answer["rejected"][0]["index"]),
        (&json!("item_id"), &json!(2))
    );
    let says = answer["rejected"][1]["message"].as_str().unwrap();
    assert!(says.contains("did you mean wishlist?"), "{says}");

    // Over the socket, too; the live profile is that of the tables.
    let (mut client, _) = server.login("u1");
    client.send(&json!({"type": "event", "kind": "wishlist", "item_id": 2, "event_id": "w-2"}));
    client.expect("accepted");
    let live = profile(&server);
    assert_eq!(live["own_kinds"], json!({"wishlist": 2, "quiz": 1}), "{live}");
    assert_eq!(live["recent"][0]["kind"], "wishlist");
    assert_eq!(live["affinities"][0]["category"], "Lamps");

    let timeline = http.get("/admin/users/u1/timeline").json();
    let entries = timeline["entries"].as_array().unwrap().iter().filter(|entry| entry["what"] == "event");
    let mut kinds: Vec<&str> = entries.map(|entry| entry["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["quiz", "wishlist", "wishlist"], "{timeline}");

    // Wished for by many: popular by that alone.
    let many: Value =
        (0..30).map(|n| json!({"kind": "wishlist", "user_id": format!("v{n}"), "item_id": 5})).collect();
    assert_eq!(http.post("/v1/events", &many).json()["accepted"], 30);
    assert_eq!(server.retrain()["state"], "succeeded");
    let listed = http.get("/v1/users/stranger/recommendations?n=1").json();
    assert_eq!(listed["items"][0]["item_id"], 5, "{listed}");
    drop(server);

    // Taken out of the configuration, it is read and no longer taken.
    let server = Server::start(&database.url, &["--set", "training.interval_s=0"]);
    assert_eq!(profile(&server)["own_kinds"], live["own_kinds"]);
    let refused = json!([{"kind": "wishlist", "user_id": "u1", "item_id": 1}]);
    assert_eq!(server.http().post("/v1/events", &refused).json()["accepted"], 0);
}

#[test]
fn an_import_takes_the_kinds_of_its_configuration() {
    let database = TestDatabase::new();
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("events.csv");
    std::fs::write(
        &path,
        "user_id,item_id,kind,occurred_at\nu1,1,wishlist,2026-01-02T10:00:00Z\nu1,2,wishlists,2026-01-02T10:00:00Z\n",
    )
    .unwrap();
    let import = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["import", "csv", "--quiet", "--rejects"])
            .arg(files.path().join("rejects.csv"))
            .arg(&path)
            .env("DATABASE_URL", &database.url)
            .env("TIDINGS_EVENT_KINDS", "{wishlist = 0.7}")
            .output()
            .unwrap();
        std::fs::read_to_string(files.path().join("rejects.csv"))
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let rejects = import();
    assert!(rejects.contains("did you mean wishlist?") && rejects.lines().count() == 2, "{rejects}");
    let server = Server::start(&database.url, &KINDS);
    assert_eq!(profile(&server)["own_kinds"], json!({"wishlist": 1}));
}
