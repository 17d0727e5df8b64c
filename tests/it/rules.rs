//! Association rules: against a reference implementation on real baskets, from the command line, and as a server
//! learns, stores and shows them.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;
use crate::models_data;

fn tidings_rules(arguments: &[&str]) -> Vec<String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("rules")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// mlxtend 0.25 (fpgrowth, association_rules) finds 2,026 sets and 1,950 rules, see tests/reference/rules.py.
#[test]
fn sets_and_rules_of_real_baskets_are_those_of_the_reference() {
    let Some(path) = models_data::path("online-retail/baskets.txt.gz") else {
        return models_data::absent("online-retail/baskets.txt.gz");
    };
    let path = path.to_str().unwrap();
    let lines = tidings_rules(&["--baskets", path, "--support", "0.01", "--confidence", "0.3", "--json"]);
    let summary: Value = serde_json::from_str(&lines[0]).unwrap();
    println!("{summary}");
    assert_eq!((&summary["itemsets"], &summary["rules"]), (&json!(2_026), &json!(1_950)));
    assert_eq!(lines.len(), 1_951);
    let rules: Vec<Value> = lines[1..].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rules.is_sorted_by(|a, b| number(&a["lift"]) >= number(&b["lift"])));
    assert!(rules.iter().all(|rule| number(&rule["confidence"]) >= 0.3 && number(&rule["support"]) >= 0.01));
}

/// Everything goes together: the sets of 300 baskets of a hundred items are more than could ever be held.
#[test]
fn a_search_without_end_is_cut_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("baskets.txt");
    let basket = |n: u32| {
        let items =
            (0..100).filter(|item| !(n * 7 + item * 3).is_multiple_of(11)).map(|item| format!("i{item}"));
        items.collect::<Vec<_>>().join(" ")
    };
    std::fs::write(&path, (0..300).map(|n| basket(n) + "\n").collect::<String>()).unwrap();
    let path = path.to_str().unwrap();
    let table =
        tidings_rules(&["--baskets", path, "--support", "0.0034", "--confidence", "0", "--max-items", "6"]);
    assert!(
        table.iter().any(|line| line.starts_with("note: sets of more than 3 items are left out")),
        "{table:?}"
    );
    let lines = tidings_rules(&[
        "--baskets",
        path,
        "--support",
        "0.0034",
        "--confidence",
        "0",
        "--max-items",
        "6",
        "--json",
        "--top",
        "3",
    ]);
    let summary: Value = serde_json::from_str(&lines[0]).unwrap();
    assert!(number(&summary["peak_rss_mib"]) < 1_000.0, "{summary}");
    assert!(number(&summary["itemsets"]) <= 1e6 && number(&summary["rules"]) <= 5e5, "{summary}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_file_of_baskets_gives_a_table_or_lines_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("baskets.txt");
    std::fs::write(&path, "bread butter jam\nbread butter\nbread butter jam\nbread\njam\n").unwrap();
    let path = path.to_str().unwrap();
    let table = tidings_rules(&["--baskets", path, "--support", "0.4", "--confidence", "0.9"]);
    assert!(table[0].contains("itemsets 7") && table[0].contains("baskets 5"), "{table:?}");
    assert!(table.iter().any(|line| line.ends_with("butter \u{2192} bread")), "{table:?}");
    let lines = tidings_rules(&[
        "--baskets",
        path,
        "--support",
        "0.4",
        "--confidence",
        "0.9",
        "--json",
        "--top",
        "1",
    ]);
    assert_eq!(lines.len(), 2);
    let rule: Value = serde_json::from_str(&lines[1]).unwrap();
    // Bread and jam mean butter with certainty, which is in 3 of 5 baskets.
    assert_eq!((number(&rule["confidence"]), &rule["consequent"]), (1.0, &json!(["butter"])));
    assert!((number(&rule["lift"]) - 5.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_server_learns_what_is_bought_together_shows_it_and_says_why() {
    let database = TestDatabase::new();
    let server = Server::start(
        &database.url,
        &["--set", "training.interval_s=0", "--set", "policy.repeat_window_min=0", "--set", "policy.caps=[]"],
    );
    let mut http = server.http();
    let titles = ["Blue mug", "Teapot", "Lamp"];
    let items: Value = (1..=3).map(|id| json!({"item_id": id, "title": titles[id - 1]})).collect();
    http.put("/v1/items", &items);
    let empty = http.get("/admin/rules").json();
    assert_eq!((&empty["total"], &empty["rules"]), (&json!(0), &json!([])));
    let mut events = Vec::new();
    for order in 0..12 {
        let mut buy = |item: i64| {
            events.push(json!({"kind": "purchase", "user_id": 100 + order, "item_id": item, "basket_id": format!("order-{order}")}));
        };
        if order < 8 {
            buy(1);
            buy(2);
        } else {
            buy(3);
        }
    }
    assert_eq!(http.post("/v1/events", &json!(events)).status, 202);
    assert_eq!(server.retrain()["state"], "succeeded");
    let page = http.get("/admin/rules?limit=1").json();
    assert_eq!((&page["total"], &page["baskets"]), (&json!(2), &json!(12)));
    let rule = &page["rules"][0];
    assert_eq!(rule["antecedent"][0]["title"], "Blue mug");
    assert_eq!(rule["consequent"][0]["title"], "Teapot");
    assert!((number(&rule["lift"]) - 1.5).abs() < 1e-9);
    let next = page["next"].as_i64().unwrap();
    let rest = http.get(&format!("/admin/rules?limit=5&after={next}")).json();
    assert_eq!((rest["rules"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    assert_eq!(http.get("/admin/rules?item=1").json()["total"], 2);
    assert_eq!(http.get("/admin/rules?item=3").json()["total"], 0);
    assert_eq!(http.get("/admin/rules?item=unheard-of").status, 404);
    // A cart with the mug brings the teapot, and the rule is the reason.
    let (mut client, _) = server.login(7);
    client.send(&json!({"type": "event", "kind": "add_to_cart", "item_id": 1}));
    let message = loop {
        let message = client.expect("recommendation");
        if message["trigger"] == "cart" {
            break message;
        }
    };
    assert_eq!(message["items"][0]["title"], "Teapot");
    assert_eq!(message["items"][0]["reason"], "often bought with Blue mug (1.5\u{d7} more than chance)");
}
