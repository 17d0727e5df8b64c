//! Templates over HTTP: what is refused when one is stored, what a preview shows, and that no template takes the server down.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;

fn shop() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let item =
        |id: i64| json!({"item_id": id, "title": format!("Watch {id}"), "price": 1234.5, "currency": "CHF"});
    let mut items: Vec<Value> = (101..131).map(item).collect();
    items.push(json!({"item_id": 200, "title": "Dinar watch", "price": 1.255, "currency": "KWD"}));
    assert_eq!(server.http().put("/v1/items", &items.into()).status, 200);
    (database, server)
}

fn template(name: &str, texts: &Value) -> Value {
    json!({"name": name, "variants": [{"name": "a", "texts": texts}]})
}

fn english(name: &str, title: &str, body: &str) -> Value {
    template(name, &json!({"en": {"title": title, "body": body}}))
}

/// Sources that would take gigabytes: doubled, repeated in a loop, folded while compiling.
fn attacks() -> Vec<String> {
    vec![
        format!("{{%set a='x'%}}{}{{{{a}}}}", "{%set a=a~a%}".repeat(31)),
        "{% set s = 'x' * 100000000 %}{% for i in items %}{{ s }}{{ s }}{% endfor %}".to_owned(),
        "{{ 'x' * 99999999 }}".to_owned(),
        "{% set ns = [1] %}{% for i in items %}{% set a = (a or 'xx') ~ (a or 'xx') ~ (a or 'xx') %}{% endfor %}".to_owned(),
    ]
}

#[test]
fn a_template_that_would_reach_users_with_holes_is_refused_with_its_place() {
    let (_database, server) = shop();
    let mut http = server.http();
    for (title, body, expected) in [
        (
            "{{ itm.title }}",
            "",
            "variant a, en, title, line 1, column 4: there is no `itm`, did you mean `item`?",
        ),
        (
            "New",
            "{{ item.price | mony }}",
            "variant a, en, body, line 1, column 17: there is no filter `mony`, did you mean `money`?",
        ),
        ("New", "{{ item.price | round }}", "there is no filter `round`"),
        ("New", "{{ item.price | number }}", "there is nothing"),
        ("", "", "title, line 1, column 1: is blank"),
    ] {
        let refused = http.put("/admin/templates/view", &english("view", title, body));
        let error = refused.json()["error"].clone();
        assert_eq!((refused.status, error["field"].as_str()), (400, Some("variants")), "{title} {body}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{error}");
    }
    let plural = "{{ count | plural(zero='none', one='#', two='two', few='#', many='#', other='#') }}";
    assert_eq!(http.put("/admin/templates/view", &english("view", "{{ item.title }}", plural)).status, 200);
    // A template is tried for the trigger that comes to use it as well.
    let drop = english("drop", "{{ item.title }} now {{ item.price | money(item.currency) }}", "");
    assert_eq!(http.put("/admin/templates/drop", &drop).status, 200);
    let trigger =
        |kind: &str| json!({"name": "t", "when": {"kind": kind}, "category": "c", "template": "drop"});
    let refused = http.put("/admin/triggers/t", &trigger("back_in_stock"));
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!((refused.status, refused.json()["error"]["field"].as_str()), (400, Some("template")));
    assert!(message.contains("template \"drop\", variant a, en, title"), "{message}");
}

#[test]
fn a_preview_shows_what_the_trigger_would_send() {
    let (_database, server) = shop();
    let mut http = server.http();
    let listing = "{{ event.title }}{% for item in items %}, {{ item.title }}{% endfor %}";
    let body = "{{ count }} items";
    assert_eq!(http.put("/admin/templates/news", &english("news", listing, body)).status, 200);
    let trigger = json!({"name": "news", "when": {"kind": "api"}, "category": "news", "template": "news"});
    assert_eq!(http.put("/admin/triggers/news", &trigger).status, 200);
    let wish = json!({"name": "news", "item_ids": [101, 102], "event": {"title": "Hello"}});
    let shown = http.post("/admin/templates/preview", &wish).json();
    assert_eq!(
        (shown["title"].as_str(), shown["body"].as_str()),
        (Some("Hello"), Some("0 items")),
        "{shown}"
    );
    assert_eq!((&shown["trigger"], &shown["left_out"]), (&json!("news"), &json!([101, 102])));
    let about = json!({"name": "news", "item_id": 101, "event": {"title": "Hello"}});
    assert_eq!(http.post("/admin/templates/preview", &about).json()["title"], "Hello, Watch 101");
    // The template as a view would send it: the item is not in its own list.
    let view = json!({"name": "view", "item_ids": [101, 102, 103]});
    let shown = http.post("/admin/templates/preview", &view).json();
    assert_eq!(
        (&shown["title"], &shown["body"]),
        (&json!("More like Watch 101"), &json!("Watch 102 and 1 more"))
    );
    let unknown = http.post("/admin/templates/preview", &json!({"name": "view", "item_ids": [999]}));
    assert_eq!((unknown.status, unknown.json()["error"]["field"].as_str()), (400, Some("item_ids")));
}

#[test]
fn money_and_languages_are_those_of_the_reader() {
    let (_database, server) = shop();
    let mut http = server.http();
    let text = |title: &str| json!({"title": format!("{title} {{{{ item.price | money(item.currency) }}}}"), "body": ""});
    let texts = json!({"en": text("en"), "de": text("de"), "zh-hant": text("zh")});
    let mut title = |locale: &str, item: i64| {
        let wish = json!({"template": template("t", &texts), "locale": locale, "item_ids": [item], "price_before": 2.0});
        http.post("/admin/templates/preview", &wish).json()["title"].as_str().unwrap().to_owned()
    };
    assert_eq!(title("en", 200), "en KWD\u{a0}1.255");
    assert_eq!(title("de-CH", 101), "de CHF\u{a0}1'234.50");
    assert_eq!(title("de-AT-u-co-phonebk", 101), "de CHF\u{a0}1.234,50");
    assert_eq!(title("zh-TW", 101), "zh CHF\u{a0}1,234.50");
}

#[test]
fn no_template_takes_the_memory_or_time_of_the_server() {
    let (database, mut server) = shop();
    let mut http = server.http();
    let began = Instant::now();
    let before = server.resident_bytes();
    for source in attacks() {
        let attack = english("login", &source, "");
        for (path, field) in
            [("/admin/templates/preview", "template"), ("/admin/templates/login", "variants")]
        {
            let refused = match field {
                "template" => http.post(path, &json!({"template": attack, "item_ids": [101, 102, 103]})),
                _ => http.put(path, &attack),
            };
            assert_eq!(
                (refused.status, refused.json()["error"]["field"].as_str()),
                (400, Some(field)),
                "{source}"
            );
        }
    }
    // Stored before templates were read: the server starts, and a login is answered all the same.
    server.kill();
    for (version, source) in attacks().iter().enumerate() {
        let body = english("login", source, "").to_string().replace('\'', "''");
        let row = format!(
            "INSERT INTO definitions (kind, name, version, state, body, changed_by)
             VALUES ('template', 'login', {}, 'active', '{body}', 'admin')",
            version + 1
        );
        database.connection().batch_execute(&row).unwrap();
        let mut server = Server::start(&database.url, &[]);
        let (_client, first) = server.login(7);
        assert_eq!(first["type"], "recommendation", "{first}");
        assert!(server.resident_bytes() < before + (100 << 20), "{}", server.resident_bytes());
        server.kill();
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
