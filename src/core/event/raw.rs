//! An event as it is sent (HTTP, socket, NDJSON), read field by field: what is wrong with a field, or with its name, is a fault of
//! this event and leaves the others of its request alone.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::base::{FieldError, Timestamp, unknown_field};

/// Names of the fields, without the other two of `basket_id`.
const FIELDS: [&str; 12] = [
    "kind",
    "user_id",
    "item_id",
    "query",
    "dwell_ms",
    "quantity",
    "value",
    "currency",
    "occurred_at",
    "event_id",
    "basket_id",
    "list_id",
];

/// An event as a client sends it; nothing is believed yet.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = NewEvent))]
pub struct RawEvent {
    /// `view`, `purchase`, …
    pub kind: String,
    /// Integer or string. On a socket the login already says who.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::base::ExternalId>))]
    pub user_id: Option<Value>,
    /// Integer or string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::base::ExternalId>))]
    pub item_id: Option<Value>,
    /// Search query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Time the item was looked at, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell_ms: Option<u64>,
    /// Units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<f64>,
    /// Money for all units, or the rating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Moment of the event; the server's clock if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// The client's key for retries: an integer or a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::base::ExternalId>))]
    pub event_id: Option<Value>,
    /// Basket, order or session of the shop: an integer or a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::base::ExternalId>))]
    pub basket_id: Option<Value>,
    /// `list_id` of the list that the item was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_id: Option<Uuid>,
    /// The first field that could not be read.
    #[serde(skip)]
    pub fault: Option<FieldError>,
}

impl RawEvent {
    /// Takes one field; a `null` is none.
    fn take(&mut self, name: &str, value: Value) {
        if value.is_null() && (FIELDS.contains(&name) || is_basket(name)) {
            return;
        }
        let taken = match name {
            "kind" => read("kind", value).map(|kind| self.kind = kind),
            "user_id" => keep(&mut self.user_id, value),
            "item_id" => keep(&mut self.item_id, value),
            "query" => read("query", value).map(|query| self.query = Some(query)),
            "dwell_ms" => read("dwell_ms", value).map(|dwell| self.dwell_ms = Some(dwell)),
            "quantity" => read("quantity", value).map(|quantity| self.quantity = Some(quantity)),
            "value" => read("value", value).map(|amount| self.value = Some(amount)),
            "currency" => read("currency", value).map(|currency| self.currency = Some(currency)),
            "occurred_at" => read("occurred_at", value).map(|at| self.occurred_at = Some(at)),
            "event_id" => keep(&mut self.event_id, value),
            "list_id" => read("list_id", value).map(|list| self.list_id = Some(list)),
            name if is_basket(name) => match self.basket_id.replace(value) {
                None => Ok(()),
                Some(_) => Err(FieldError::new(
                    "ambiguous",
                    "basket_id",
                    "basket_id, session_id and order_id name the same thing: give one of them",
                )),
            },
            // As a frame of a socket has it.
            "type" if value == "event" => Ok(()),
            name => Err(FieldError::new("unknown_field", name.to_owned(), unknown_field(name, FIELDS))),
        };
        if let Err(fault) = taken {
            self.fault.get_or_insert(fault);
        }
    }
}

fn is_basket(name: &str) -> bool {
    matches!(name, "basket_id" | "session_id" | "order_id")
}

fn keep(field: &mut Option<Value>, value: Value) -> Result<(), FieldError> {
    *field = Some(value);
    Ok(())
}

fn read<T: DeserializeOwned>(field: &'static str, value: Value) -> Result<T, FieldError> {
    serde_json::from_value(value).map_err(|error| FieldError::new("bad_field", field, error.to_string()))
}

impl<'de> Deserialize<'de> for RawEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawEvent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event, an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<RawEvent, A::Error> {
                let mut raw = RawEvent::default();
                while let Some((name, value)) = fields.next_entry::<String, Value>()? {
                    raw.take(&name, value);
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
