//! Contexts that a template must render in before it may be stored.

use std::sync::Arc;

use serde_json::json;

use super::context::{DEFAULT_LOCALE, ItemVariables, MAX_ITEMS, TemplateContext, UserVariables};
use crate::notify::triggers::Condition;
use tidings_core::base::{ExternalId, Timestamp};

/// A context to try a template in.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Special property of the sample, for an error message: `an item without price, brand and category`.
    pub case: &'static str,
    /// The variables.
    pub context: TemplateContext,
}

fn sample_item(id: i64) -> ItemVariables {
    ItemVariables {
        item_id: ExternalId::Integer(id),
        title: format!("Sample item {id}"),
        price: Some(1_234.5),
        currency: Some("EUR".to_owned()),
        category: Some("Watches".to_owned()),
        brand: Some("Sample brand".to_owned()),
        url: Some("/items/1".to_owned()),
        stock: Some(3),
    }
}

/// An item of which the catalogue knows no more than the id.
fn bare_item(id: i64) -> ItemVariables {
    ItemVariables {
        title: id.to_string(),
        price: None,
        currency: None,
        category: None,
        brand: None,
        url: None,
        stock: None,
        ..sample_item(id)
    }
}

fn sample(case: &'static str, context: TemplateContext) -> Sample {
    Sample { case, context }
}

/// Everything that is known of the reader, and nothing else.
fn complete() -> TemplateContext {
    TemplateContext {
        user: UserVariables {
            user_id: ExternalId::Integer(7),
            segment: Some("A".to_owned()),
            attributes: serde_json::Value::Object(serde_json::Map::new()),
        },
        item: None,
        items: Vec::new(),
        count: 0,
        price_before: None,
        event: None,
        locale: DEFAULT_LOCALE.to_owned(),
        time_zone: Some("Europe/Berlin".to_owned()),
        now: Timestamp::parse("2026-03-01T12:00:00Z").unwrap_or_default(),
    }
}

/// A message about one item.
fn about(item: ItemVariables) -> TemplateContext {
    TemplateContext { items: vec![item.clone()], count: 1, item: Some(item), ..complete() }
}

/// A list of items.
fn listing(items: Vec<ItemVariables>) -> TemplateContext {
    TemplateContext { count: items.len(), items, ..complete() }
}

/// The same to a user of whom as little as possible is known.
fn anonymous(context: TemplateContext) -> Sample {
    let user = UserVariables { segment: None, ..context.user };
    sample("a user without segment and time zone", TemplateContext { user, time_zone: None, ..context })
}

/// Lists of some items, of one, and of more than a template can list.
fn lists() -> Vec<Sample> {
    let many = (1..=MAX_ITEMS as i64).map(sample_item).collect();
    vec![
        sample("a list of two items", listing(vec![sample_item(1), sample_item(2)])),
        sample("a list of one item without price, brand and category", listing(vec![bare_item(1)])),
        sample("a list of 14 items", TemplateContext { count: 14, ..listing(many) }),
    ]
}

/// Lists beside the item that led to them.
fn lists_beside_an_item() -> Vec<Sample> {
    let beside = |item: ItemVariables, context| TemplateContext { item: Some(item), ..context };
    let mut all: Vec<Sample> = lists()
        .into_iter()
        .map(|one| Sample { context: beside(sample_item(20), one.context), ..one })
        .collect();
    let bare = beside(bare_item(20), listing(vec![bare_item(1)]));
    all.push(sample("an item without price, brand and category", bare));
    all.push(anonymous(beside(sample_item(20), listing(vec![sample_item(1)]))));
    all
}

fn cheaper_items() -> Vec<Sample> {
    let drop = |item| TemplateContext { price_before: Some(1_500.0), ..about(item) };
    let plain = ItemVariables { price: Some(1_234.5), ..bare_item(1) };
    vec![
        sample("an item that costs less", drop(sample_item(1))),
        sample("an item without brand, category and currency", drop(plain)),
        anonymous(drop(sample_item(1))),
    ]
}

/// Samples of the shop's own calls, with and without an item.
fn events() -> Vec<Sample> {
    let event = || Some(Arc::new(json!({"title": "Sample title", "body": "Sample body"})));
    vec![
        sample("an event with title and body", TemplateContext { event: event(), ..complete() }),
        sample(
            "an event with title and body, about an item without price, brand and category",
            TemplateContext { event: event(), ..about(bare_item(1)) },
        ),
        anonymous(TemplateContext { event: event(), ..about(sample_item(1)) }),
    ]
}

/// The contexts that a trigger of this condition can lead to, one of each kind: complete, with whatever may be missing
/// missing, and with lists of none, one and more than [`MAX_ITEMS`]. Never empty.
pub fn samples(condition: &Condition) -> Vec<Sample> {
    let about_item = |case, plain: ItemVariables| {
        vec![
            sample("an item", about(sample_item(1))),
            sample(case, about(plain)),
            anonymous(about(sample_item(1))),
        ]
    };
    match condition {
        Condition::Login => {
            let mut all = lists();
            all.push(sample("an empty catalogue: no items", complete()));
            all.push(anonymous(listing(vec![sample_item(1)])));
            all
        }
        Condition::ModelRefreshed
        | Condition::WinBack { .. }
        | Condition::Digest
        | Condition::Segment { .. } => {
            let mut all = lists();
            all.push(anonymous(listing(vec![sample_item(1)])));
            all
        }
        Condition::View | Condition::Cart => lists_beside_an_item(),
        Condition::PriceDrop { .. } => cheaper_items(),
        Condition::ViewedOften { .. } | Condition::CartLeft { .. } | Condition::BackInStock => {
            about_item("an item without price, brand and category", bare_item(1))
        }
        // New in a category, so the category is known.
        Condition::NewInCategory { .. } => {
            let plain = ItemVariables { category: Some("Watches".to_owned()), ..bare_item(1) };
            about_item("an item without price and brand", plain)
        }
        Condition::OrderStatus | Condition::Api => events(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::triggers;

    #[test]
    fn each_condition_has_samples_that_its_messages_could_be() {
        for definition in triggers::defaults() {
            let samples = samples(&definition.when);
            assert!(samples.len() >= 3, "{}", definition.name);
            for Sample { case, context } in samples {
                let recommends = definition.when.recommends();
                assert!(context.items.len() <= MAX_ITEMS && context.count >= context.items.len(), "{case}");
                assert!(recommends || context.count == usize::from(context.item.is_some()), "{case}");
            }
        }
    }
}
