//! A small shop: watches and mugs, even and odd, of three brands.

use serde_json::{Value, json};

use super::database::TestDatabase;
use super::server::Server;

/// Forty items, 101…140, in a server with these arguments.
pub fn shop(arguments: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, arguments);
    let items: Value = (101..141)
        .map(|id| {
            let kind = if id % 2 == 0 { "Watch" } else { "Mug" };
            json!({"item_id": id, "title": format!("{kind} number {id}"), "category": [format!("{kind}es")],
                   "price": 10.0, "currency": "EUR", "attributes": {"brand": format!("Brand {}", id % 3)}})
        })
        .collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    (database, server)
}
