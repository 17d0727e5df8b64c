//! The triggers a new server begins with.

use super::condition::Condition;
use super::definition::Definition;
use crate::notify::message::Priority;
use tidings_core::recommend::serve::placement::Wants;

/// Ready to use; each can be changed, paused or joined by others over HTTP.
pub fn defaults() -> Vec<Definition> {
    let define = |name: &str, when, category: &str, priority, expires_after_min| Definition {
        name: name.to_owned(),
        when,
        category: category.to_owned(),
        template: name.to_owned(),
        priority,
        expires_after_min,
        collapse_key: None,
        wants: Wants::default(),
    };
    let about_item = |definition: Definition| Definition {
        collapse_key: Some(format!("{}:{{item}}", definition.name)),
        ..definition
    };
    const DAY: Option<u64> = Some(1_440);
    vec![
        define("login", Condition::Login, "for_you", Priority::Normal, None),
        define("view", Condition::View, "similar_items", Priority::Normal, None),
        define("cart", Condition::Cart, "goes_with", Priority::Normal, None),
        define("retrain", Condition::ModelRefreshed, "for_you", Priority::Normal, None),
        define("digest", Condition::Digest, "digest", Priority::Normal, None),
        define("win_back", Condition::WinBack { days: 30 }, "for_you", Priority::Low, DAY),
        about_item(define(
            "viewed_often",
            Condition::ViewedOften { times: 4, within_min: 1_440 },
            "still_interested",
            Priority::Normal,
            DAY,
        )),
        about_item(define(
            "cart_left",
            Condition::CartLeft { minutes: 60 },
            "cart_reminder",
            Priority::High,
            DAY,
        )),
        about_item(define(
            "price_drop",
            Condition::PriceDrop { percent: 5.0 },
            "price_drop",
            Priority::High,
            DAY,
        )),
        about_item(define("back_in_stock", Condition::BackInStock, "back_in_stock", Priority::High, DAY)),
        about_item(define(
            "new_in_category",
            Condition::NewInCategory { share: 0.2 },
            "new_items",
            Priority::Low,
            Some(4_320),
        )),
        define("order_status", Condition::OrderStatus, "orders", Priority::Transactional, Some(10_080)),
        define("announcement", Condition::Api, "announcements", Priority::Normal, Some(10_080)),
    ]
}
