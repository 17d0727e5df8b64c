//! Items of JSON objects: in the form of `PUT /v1/items`, other names by mapping, or as flat rows whose texts have forms.

use serde_json::{Map, Value};
use tidings_core::base::plain_words;
use tidings_core::catalogue::{ItemField, NewItem};

use super::forms::Forms;
use super::mapping::{Field, Mapping};
use super::row::{self, Row};

/// Fields of an item that flat rows don't have: they hold objects, or a truth value.
pub const JSON_ONLY: [ItemField; 4] =
    [ItemField::Attributes, ItemField::Consumable, ItemField::Translations, ItemField::Prices];

/// The item of an object in the catalogue's own form, else that of its flat row (`exact` fields are JSON numbers) with what of
/// [`JSON_ONLY`] stands beside; `None` when the object says nothing but the id. What can't be read is an error, never left out.
pub fn read(
    object: &Map<String, Value>,
    mapping: &Mapping,
    (row, forms, exact): (&Row, &Forms, &[Field]),
) -> Result<Option<NewItem>, String> {
    let mut own = own_form(object, mapping);
    if let Ok(item) = NewItem::read(Value::Object(own.clone()))
        && item != NewItem::new(item.item_id.clone())
    {
        return Ok(Some(item));
    }
    let flat = row::item(row, forms, exact)?;
    own.retain(|name, _| JSON_ONLY.iter().any(|field| field.name() == name));
    if own.is_empty() {
        return Ok(flat);
    }
    let id = forms.id(row, Field::ItemId)?.ok_or("does not say which item: item_id is missing")?;
    own.insert(Field::ItemId.name().to_owned(), Value::from(id.to_string()));
    let more = NewItem::read(Value::Object(own))
        .map_err(|error| format!("{}: {}", error.field, plain_words(&error.message)))?;
    let mut item = flat.unwrap_or_else(|| NewItem::new(id));
    item.overlay(more);
    item.validate().map_err(|error| error.to_string())?;
    Ok(Some(item))
}

/// What an object says of an item, under the names of the wire. A null says nothing.
fn own_form(object: &Map<String, Value>, mapping: &Mapping) -> Map<String, Value> {
    let given = |name: &str| mapping.get(Field::ALL.into_iter().find(|field| field.name() == name)?);
    let is_given = |name: &str| Field::ALL.into_iter().any(|field| mapping.get(field) == Some(name));
    let names = std::iter::once(Field::ItemId.name()).chain(ItemField::ALL.map(ItemField::name));
    let value = |name: &str| match given(name) {
        Some(column) => object.get(column),
        None => object.get(name).filter(|_| !is_given(name)),
    };
    let said =
        |name: &'static str| Some((name.to_owned(), value(name).filter(|value| !value.is_null())?.clone()));
    names.filter_map(said).collect()
}

#[cfg(test)]
mod tests {
    use crate::record::{Entry, RecordOptions, RecordReader};

    #[test]
    fn what_only_json_has_of_an_item_is_read_or_refused_and_never_dropped() {
        let item = |mapping: &str, json: &str| {
            let mapping = mapping.parse().unwrap();
            let mut reader = RecordReader::new(RecordOptions { mapping, ..RecordOptions::default() });
            match reader.object(&serde_json::from_str(json).unwrap())? {
                Entry::Item(item) => Ok::<_, String>(item),
                other => panic!("no item: {other:?}"),
            }
        };
        let more = r#""attributes":{"colour":"red"},"consumable":true,"translations":{"de":{"title":"Uhr"}},"prices":{"CHF":9.5}"#;
        for (mapping, begin) in [
            ("", r#""item_id":9001,"title":"Watch","price":"8,50 €""#),
            ("item_id=sku,title=name", r#""sku":9001,"name":"Watch","price":8.5,"currency":"EUR""#),
        ] {
            let read = item(mapping, &format!("{{{begin},{more}}}")).unwrap();
            assert_eq!((read.item_id.to_string().as_str(), read.title.as_deref()), ("9001", Some("Watch")));
            assert_eq!((read.price, read.currency.as_deref()), (Some(8.5), Some("EUR")));
            assert_eq!(read.attributes.unwrap()["colour"], "red");
            assert_eq!((read.consumable, read.prices.unwrap()["CHF"]), (Some(true), 9.5));
            assert_eq!(read.translations.unwrap()["de"].title.as_deref(), Some("Uhr"));
        }
        for (json, says) in [
            (r#"{"item_id":1,"title":"a","attributes":{"size":42,"colour":"red"}}"#, "attributes"),
            (r#"{"item_id":1,"title":"a","price":"8,50","consumable":"yes"}"#, "consumable"),
            (r#"{"item_id":1,"title":"a","prices":{"chf":1}}"#, "chf"),
            (r#"{"title":"a","consumable":true}"#, "item_id"),
        ] {
            let error = item("", json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
        // A name that stands for something else is not taken for its own meaning as well.
        let read =
            item("item_id=sku,title=name", r#"{"item_id":1,"sku":"A","name":"Watch","title":"x"}"#).unwrap();
        assert_eq!((read.item_id.to_string().as_str(), read.title.as_deref()), ("A", Some("Watch")));
    }
}
