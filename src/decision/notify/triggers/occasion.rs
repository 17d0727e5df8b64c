//! Identity of the occasion that a trigger tells, so that the same occasion is told once and different ones are told each.

use serde_json::Value;
use uuid::Uuid;

use super::condition::Condition;
use super::trigger::Trigger;
use tidings_core::base::Timestamp;
use tidings_core::catalogue::Catalogue;

impl Trigger {
    /// Returns whether both tell the same occasion, so that of two that wait one is enough: the same definition and, unless it
    /// recommends a list, the same item, reference price and event. A list is ranked anew when it is sent, so that one
    /// stands for a night's browsing.
    pub fn is_same_occasion(&self, other: &Self) -> bool {
        let event = |trigger: &Self| trigger.event.as_deref().map(event_hash);
        self.name() == other.name()
            && (self.definition.when.recommends()
                || (self.item == other.item
                    && self.price_before == other.price_before
                    && event(self) == event(other)))
    }

    /// Key of the occasion in decisions, for those that are told once; `None` for those that may be told again. Made of the
    /// definition, the item and, of a price drop, the step it is told for. What the shop says has that of its call: each is an occasion of
    /// its own (shipped, out for delivery, delivered).
    pub fn dedupe_key(&self, catalogue: &Catalogue, now: Timestamp) -> Option<u64> {
        if self.is_said_by_shop() {
            return self.call.map(of_call);
        }
        if matches!(self.definition.when, Condition::Segment { .. }) {
            return Some(hash(&self.definition.name));
        }
        let item = self.item.filter(|_| self.is_about_item())?;
        let price = self.price_of_occasion(catalogue, now);
        Some(hash(&format!("{}\u{1f}{item}\u{1f}{}", self.definition.name, price.unwrap_or_default())))
    }
}

/// Key of the occasion of a call of the shop that tells each person once, however many ids of that person it names: those of users
/// who were merged meanwhile.
pub fn of_call(call: Uuid) -> u64 {
    hash(&format!("call\u{1f}{call}"))
}

fn event_hash(event: &Value) -> u64 {
    let mut text = String::new();
    write_canonical(event, &mut text);
    hash(&text)
}

/// JSON with keys in order and numbers by value: PostgreSQL's `jsonb` writes both its own way, so that an event read back
/// differs in its text from the one that was sent.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in fields {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for value in values {
                write_canonical(value, out);
                out.push(',');
            }
            out.push(']');
        }
        // 1.0 and 1e0 are 1; beyond 2^53 an integer is its digits.
        Value::Number(number) if number.is_f64() => {
            out.push_str(&number.as_f64().map(|number| number.to_string()).unwrap_or_default());
        }
        other => out.push_str(&other.to_string()),
    }
}

/// FNV-1a: the same on every machine and release, since it is stored.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::{Definition, defaults};
    use super::*;
    use tidings_core::base::ItemId;

    fn trigger(name: &str, item: Option<u32>, event: Value) -> Trigger {
        let all = defaults();
        let definition: &Definition = all.iter().find(|definition| definition.name == name).unwrap();
        let event = (!event.is_null()).then(|| Arc::new(event));
        Trigger { event, ..Trigger::of(&Arc::new(definition.clone()), item.map(ItemId)) }
    }

    fn occasions(triggers: &[Trigger]) -> usize {
        let mut kept: Vec<&Trigger> = Vec::new();
        for trigger in triggers {
            if !kept.iter().any(|known| known.is_same_occasion(trigger)) {
                kept.push(trigger);
            }
        }
        kept.len()
    }

    #[test]
    fn announcements_are_as_many_occasions_as_there_are_different_events() {
        let say = |title: &str| trigger("announcement", None, json!({"title": title, "body": "."}));
        assert_eq!(occasions(&[say("one"), say("two"), say("three"), say("two")]), 3);
        let of = |item| trigger("announcement", Some(item), json!({"title": "recalled"}));
        assert_eq!(occasions(&[of(1), of(2), of(1)]), 2);
    }

    #[test]
    fn the_states_of_one_order_or_item_are_different_occasions() {
        let state = |item, state: &str| trigger("order_status", item, json!({"order": 17, "title": state}));
        for item in [None, Some(7)] {
            let states = ["shipped", "out for delivery", "delivered", "shipped"];
            assert_eq!(occasions(&states.map(|name| state(item, name))), 3, "{item:?}");
        }
    }

    #[test]
    fn an_event_read_back_from_the_database_is_the_one_that_was_sent() {
        let sent = r#"{"b": 1.0, "order": 9007199254740993, "a": {"y": [1, 2.50], "x": null}, "big": 1e3}"#;
        let stored = r#"{"a": {"x": null, "y": [1, 2.5]}, "b": 1, "big": 1000, "order": 9007199254740993}"#;
        let [sent, stored] =
            [sent, stored].map(|text| trigger("announcement", None, serde_json::from_str(text).unwrap()));
        assert_eq!(occasions(&[sent, stored]), 1);
        let texts =
            [json!({"a": "1,b"}), json!({"a": 1}), json!({"a": "1"}), json!(["a", 1]), json!([["a"], 1])];
        assert_eq!(occasions(&texts.map(|event| trigger("announcement", None, event))), 5);
    }

    #[test]
    fn one_that_recommends_a_list_stands_for_all_of_its_kind() {
        let view = |item| trigger("view", Some(item), Value::Null);
        assert!(
            view(1).is_same_occasion(&view(2))
                && !view(1).is_same_occasion(&trigger("cart", Some(1), Value::Null))
        );
        let often = |item| trigger("viewed_often", Some(item), Value::Null);
        assert!(often(1).is_same_occasion(&often(1)) && !often(1).is_same_occasion(&often(2)));
        let dropped =
            |before| Trigger { price_before: Some(before), ..trigger("price_drop", Some(1), Value::Null) };
        assert!(
            dropped(9.0).is_same_occasion(&dropped(9.0)) && !dropped(9.0).is_same_occasion(&dropped(8.0))
        );
    }
}
