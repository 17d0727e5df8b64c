//! A catalogue in several languages and currencies: lists, messages and templates in the reader's language, prices of a filter in its
//! currency.

use serde_json::{Value, json};

use crate::helpers::shop::shop;

fn item_of(list: &Value, id: i64) -> Value {
    let items = list["items"].as_array().unwrap();
    items.iter().find(|item| item["item_id"] == id).cloned().unwrap_or_default()
}

#[test]
fn a_list_is_in_the_language_of_its_reader_and_in_the_currency_that_is_asked_for() {
    let (_database, server) = shop(&["--set", "recommend.exploration=0"]);
    let mut http = server.http();
    let item = json!({
        "item_id": 102,
        "translations": {"de": {"title": "Uhr Nummer 102", "url": "/de/102"}, "pt-PT": {"title": "Relógio 102"}},
        "prices": {"CHF": 12.5, "USD": 14.0},
    });
    assert_eq!(http.put("/v1/items", &item).status, 200);
    let stored = http.get("/v1/items/102").json();
    assert_eq!((&stored["translations"], &stored["prices"]), (&item["translations"], &item["prices"]));
    let mut title = |query: &str| {
        let list = http.get(&format!("/v1/users/7/recommendations?n=40&{query}")).json();
        item_of(&list, 102)["title"].clone()
    };
    assert_eq!(title("locale=de-AT"), "Uhr Nummer 102");
    assert_eq!(title("locale=pt-BR"), "Relógio 102");
    assert_eq!(title("locale=fr"), "Watch number 102");
    assert_eq!(title(""), "Watch number 102");
    assert_eq!(http.put("/v1/users/7/preferences", &json!({"locale": "de-CH"})).status, 200);
    let list = http.get("/v1/users/7/recommendations?n=40&currency=CHF&max_price=12.5").json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list:#}");
    let shown = item_of(&list, 102);
    assert_eq!((&shown["title"], &shown["url"]), (&json!("Uhr Nummer 102"), &json!("/de/102")));
    assert_eq!((&shown["price"], &shown["currency"]), (&json!(12.5), &json!("CHF")));
    let none = http.get("/v1/users/7/recommendations?n=40&currency=CHF&max_price=12").json();
    assert_eq!((&none["items"], &none["removed"]["price"]), (&json!([]), &json!(1)));
    let own = http.get("/v1/users/7/recommendations?n=40&currency=EUR").json();
    assert_eq!(item_of(&own, 102)["price"], 10.0);
    let refused = http.get("/v1/users/7/recommendations?locale=!");
    assert!(refused.status == 400 && refused.body.contains("BCP 47"), "{}", refused.body);
    // Cleared as other fields are, and a language that is no tag is named.
    assert_eq!(
        http.put("/v1/items", &json!({"item_id": 102, "translations": null, "prices": null})).status,
        200
    );
    assert_eq!(http.get("/v1/items/102").json()["translations"], Value::Null);
    let refused =
        http.put("/v1/items", &json!({"item_id": 102, "translations": {"german!": {"title": "x"}}}));
    assert!(refused.status == 400 && refused.body.contains("german!"), "{}", refused.body);
}

#[test]
fn a_message_and_its_template_name_items_in_the_language_of_the_user() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let words = |id: i64| json!({"item_id": id, "translations": {"de": {"title": format!("Ding {id}")}}});
    assert_eq!(http.put("/v1/items", &(101..141).map(words).collect::<Value>()).status, 200);
    assert_eq!(http.put("/v1/users/1/preferences", &json!({"locale": "de"})).status, 200);
    let preview = json!({"name": "view", "locale": "de-AT", "item_ids": [102, 103]});
    let preview = http.post("/admin/templates/preview", &preview);
    let (mut client, _) = server.login(1);
    client.send(&json!({"type": "event", "kind": "view", "item_id": 102}));
    let message = loop {
        let frame = client.expect("recommendation");
        if frame["trigger"] == "view" {
            break frame;
        }
    };
    let titles: Vec<&str> =
        message["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect();
    assert!(!titles.is_empty() && titles.iter().all(|title| title.starts_with("Ding ")), "{message:#}");
    assert!(preview.status == 200 && preview.body.contains("Ding "), "{}", preview.body);
}
