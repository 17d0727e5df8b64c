//! Lists on request with filters, over HTTP, for connected users of a shop with 100,000 items and a trained model.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::http::Http;
use crate::load;
use crate::report::{Aim, Report, percentile};
use crate::server::{Server, data_dir, wait_for};

const ITEMS: usize = 100_000;
const USERS: i64 = 2_000;
const EVENTS_A_USER: i64 = 20;
const CONNECTED: i64 = 50;
const REQUESTS: usize = 1_000;
/// Items of one request.
pub const BATCH: usize = 5_000;

/// Of an item: 100 categories of 10 each, 50 brands, 8 colours, prices 1…500.
pub fn item(id: usize) -> Value {
    let words = ["steel", "blue", "small", "light", "classic", "garden", "winter", "sport", "silk", "oak"];
    let word = |step: usize| words[(id / step + id) % words.len()];
    json!({
        "item_id": id, "title": format!("{} {} article {} model {}", word(7), word(31), id % 997, id % 89),
        "category": [format!("Category {}", id % 100), format!("Part {}", id / 100 % 10)],
        "tags": [word(3)], "price": (id * 7_919 % 50_000) as f64 / 100.0 + 1.0, "currency": "EUR", "stock": id % 50,
        "url": format!("/p/{id}"), "image_url": format!("https://images.example/{id}.jpg"),
        "attributes": {"brand": format!("Brand {}", id % 50), "colour": format!("colour {}", id % 8)},
    })
}

/// Puts items in batches; seconds.
pub fn put(http: &mut Http, n: usize) -> f64 {
    let started = Instant::now();
    for from in (0..n).step_by(BATCH) {
        let items: Vec<Value> = (from..n.min(from + BATCH)).map(item).collect();
        assert_eq!(http.put("/v1/items", &json!(items)).status, 200);
    }
    started.elapsed().as_secs_f64()
}

pub fn run(report: &mut Report) {
    report.setting("items", ITEMS);
    report.setting("users", USERS);
    report.setting("events a user", EVENTS_A_USER);
    report.setting("requests of each kind, one after the other", REQUESTS);
    let directory = data_dir();
    let server = Server::start("serve", directory.path(), &["--set", "training.interval_s=0"]);
    let mut http = Http::connect(server.address);
    put(&mut http, ITEMS);
    for user in 0..USERS {
        let of = |step: i64| (user * 131 + step * step * 17 + step) % ITEMS as i64;
        let kind = |step: i64| if step % 4 == 0 { "purchase" } else { "view" };
        let events: Vec<Value> = (0..EVENTS_A_USER)
            .map(|step| json!({"kind": kind(step), "user_id": user, "item_id": of(step)}))
            .collect();
        assert_eq!(http.post("/v1/events", &json!(events)).status, 202);
    }
    let job = http.post("/admin/retrain", &json!({})).json()["job"].as_str().unwrap().to_owned();
    wait_for("the training", || {
        let job = http.get(&format!("/admin/jobs/{job}")).json();
        !job["finished_at"].is_null()
    });
    let model = http.get("/v1/users/1/recommendations").json()["model"].clone();
    report.setting("model", model);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sockets = runtime.block_on(join_all((0..CONNECTED).map(|user| load::login(server.address, user))));
    server.wait_until_idle();
    let kinds = [
        ("no filter", ""),
        ("category", "category=Category%207"),
        ("price", "min_price=10&max_price=20"),
        (
            "category, price, attribute, exclude",
            "category=Category%207&max_price=300&attributes=brand:Brand%207&exclude=7,107",
        ),
        ("attribute", "attributes=colour:colour%203"),
        ("placement home", "placement=home"),
        ("page 10 of a category", "category=Category%207&offset=90"),
        ("200 of a category", "category=Category%207&n=200"),
    ];
    for (name, query) in kinds {
        let mut took = Vec::with_capacity(REQUESTS);
        for request in 0..REQUESTS {
            let path = format!("/v1/users/{}/recommendations?{query}", request as i64 % CONNECTED);
            let started = Instant::now();
            let answer = http.get(&path);
            took.push(started.elapsed().as_secs_f64() * 1e3);
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let aim = if query.is_empty() { Aim::None } else { Aim::AtMost(5.0) };
        report.row(&format!("GET recommendations, {name}, p50"), percentile(&took, 0.5), "ms", Aim::None);
        report.row(&format!("GET recommendations, {name}, p99"), percentile(&took, 0.99), "ms", aim);
    }
    drop(sockets);
}
