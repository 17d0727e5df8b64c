//! An item as `PUT /v1/items` reads it: field by field, so that what is wrong names its field, a `null` clears one, and a name that
//! means nothing is refused.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bounds::path_of;
use super::item_field::ItemField;
use super::wire::NewItem;
use crate::base::{ExternalId, FieldError, unknown_field};

impl NewItem {
    /// Reads and checks one item. Absent fields keep what is stored, `null` clears it. O(size).
    pub fn read(value: Value) -> Result<Self, FieldError> {
        let Value::Object(mut fields) = value else {
            return Err(FieldError::new("bad_item", "item", "an item is an object"));
        };
        let id = fields.remove("item_id").unwrap_or_default();
        if id.is_null() {
            return Err(FieldError::new("missing_field", "item_id", "say which item, e.g. \"item_id\": 101"));
        }
        let id = ExternalId::from_json(&id)
            .map_err(|error| FieldError::new("bad_id", "item_id", error.to_string()))?;
        let mut item = Self::new(id);
        for (name, value) in fields {
            let Some(field) = ItemField::ALL.into_iter().find(|field| field.name() == name) else {
                let names = std::iter::once("item_id").chain(ItemField::ALL.map(ItemField::name));
                let message = unknown_field(&name, names);
                return Err(FieldError::new("unknown_field", name, message));
            };
            match value {
                Value::Null => drop(item.cleared.insert(field)),
                value => item.take(field, value)?,
            }
        }
        item.validate()?;
        Ok(item)
    }

    fn take(&mut self, field: ItemField, value: Value) -> Result<(), FieldError> {
        match field {
            ItemField::Title => self.title = read(field, value)?,
            ItemField::Category => {
                self.category = Some(path_of(value).map_err(|error| refused(field, &error))?);
            }
            ItemField::Tags => self.tags = read(field, value)?,
            ItemField::Price => self.price = read(field, value)?,
            ItemField::Currency => self.currency = read(field, value)?,
            ItemField::Stock => self.stock = read(field, value)?,
            ItemField::Url => self.url = read(field, value)?,
            ItemField::ImageUrl => self.image_url = read(field, value)?,
            ItemField::Attributes => self.attributes = read(field, value)?,
            ItemField::Consumable => self.consumable = read(field, value)?,
            ItemField::Embedding => self.embedding = read(field, value)?,
            ItemField::Translations => self.translations = read(field, value)?,
            ItemField::Prices => self.prices = read(field, value)?,
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(field: ItemField, value: Value) -> Result<Option<T>, FieldError> {
    serde_json::from_value(value).map(Some).map_err(|error| refused(field, &error))
}

fn refused(field: ItemField, error: &serde_json::Error) -> FieldError {
    FieldError::new("bad_item", field.name(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Cleared;
    use serde_json::json;

    #[test]
    fn what_is_wrong_names_its_field_and_its_nearest_name() {
        for (item, code, field, text) in [
            (json!({"item_id": 1, "stock": -1}), "bad_item", "stock", "≥ 0"),
            (json!({"item_id": 1, "stock": 1.5}), "bad_item", "stock", "1.5"),
            (json!({"item_id": 1, "price": "9"}), "bad_item", "price", "f64"),
            (json!({"item_id": 1, "title": 7}), "bad_item", "title", "string"),
            (json!({"item_id": 1, "title": "a\u{0}"}), "bad_item", "title", "control characters"),
            (json!({"item_id": 1, "attributes": {"colour": "a\u{0}"}}), "bad_item", "attributes", "control"),
            (json!({"item_id": 1, "category": 7}), "bad_item", "category", "path"),
            (json!({"item_id": 1, "embedding": []}), "bad_item", "embedding", "1…1024 numbers, has 0"),
            (json!({"item_id": 1, "embedding": [0, 0]}), "bad_item", "embedding", "direction"),
            (json!({"item_id": 1, "embedding": [1, 1e99]}), "bad_item", "embedding", "direction"),
            (json!({"item_id": 1, "embedding": [1, "x"]}), "bad_item", "embedding", "f32"),
            (json!({"item_id": 1, "embedding": vec![1; 1_025]}), "bad_item", "embedding", "has 1025"),
            (
                json!({"item_id": 1, "translations": {"de": {"titel": "x"}}}),
                "bad_item",
                "translations",
                "titel",
            ),
            (json!({"item_id": 1, "prices": {"chf": 9}}), "bad_item", "prices", "chf"),
            (json!({"item_id": 1, "Price": 9}), "unknown_field", "Price", "did you mean price?"),
            (json!({"item_id": 1, "titel": "x"}), "unknown_field", "titel", "did you mean title?"),
            (json!({"item_id": 1, "zzzzzz": "x"}), "unknown_field", "zzzzzz", "there are item_id, title"),
            (json!({"title": "x"}), "missing_field", "item_id", "which"),
            (json!({"item_id": null, "title": "x"}), "missing_field", "item_id", "which"),
            (json!({"item_id": 1.5}), "bad_id", "item_id", "integer"),
            (json!(7), "bad_item", "item", "object"),
        ] {
            let error = NewItem::read(item.clone()).unwrap_err();
            assert_eq!((error.code, &*error.field), (code, field), "{item}");
            assert!(error.message.contains(text), "{item}: {}", error.message);
        }
    }

    #[test]
    fn null_clears_and_absent_keeps() {
        let item =
            NewItem::read(json!({"item_id": "a", "price": null, "category": "A > B", "stock": 3})).unwrap();
        assert_eq!(item.cleared, Cleared::from([ItemField::Price]));
        assert_eq!((item.price, item.stock, item.title), (None, Some(3), None));
        assert_eq!(item.category.unwrap(), ["A", "B"]);
        let stored =
            serde_json::to_value(NewItem::read(json!({"item_id": 1, "price": null})).unwrap()).unwrap();
        assert_eq!(stored, json!({"item_id": 1, "cleared": ["price"]}));
    }
}
