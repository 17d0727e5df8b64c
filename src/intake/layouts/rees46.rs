//! The e-commerce behaviour files of REES46 (as published on Kaggle): `event_time,event_type,product_id,category_id,category_code,
//! brand,price,user_id,user_session`; codes such as `electronics.smartphone` are paths.

use super::translated::{Translated, Translation};
use crate::mapping::Field;

/// Columns that such a file has.
pub const COLUMNS: [&str; 6] =
    ["event_time", "event_type", "product_id", "category_code", "price", "user_id"];

/// Rows of one line, whose fields `get` gives by column.
pub fn translate<'a>(get: impl Fn(&str) -> &'a str) -> Result<Translation, String> {
    let event = get("event_type").trim();
    let kind = match event {
        "view" => "view",
        "cart" => "add_to_cart",
        "remove_from_cart" => "remove_from_cart",
        "purchase" => "purchase",
        other => {
            return Err(format!("event_type is none of view, cart, remove_from_cart, purchase: {other:?}"));
        }
    };
    let mut row = Translated::default();
    row.set(Field::Kind, kind);
    // 2019-11-01 00:00:00 UTC
    row.set(Field::OccurredAt, get("event_time").trim().replace(" UTC", "Z").replacen(' ', "T", 1));
    row.set(Field::UserId, get("user_id"));
    row.set(Field::ItemId, get("product_id"));
    row.set(Field::BasketId, get("user_session"));
    row.set(Field::Category, get("category_code").replace('.', " > ").replace('_', " "));
    row.set(Field::Price, get("price"));
    row.attribute("brand", Some(get("brand")));
    if matches!(kind, "purchase" | "add_to_cart") {
        row.set(Field::UnitPrice, get("price"));
    }
    Ok(Translation::Rows(vec![row]))
}
