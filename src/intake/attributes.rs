//! Attributes of items that stand in columns of their own: `item_attribute_1`, `attribute_colour`, `attributes.brand`.

use std::collections::BTreeMap;

use tidings_core::base::ExternalId;
use tidings_core::catalogue::NewItem;

use super::fields::tidy;

/// Beginnings of such names, in any case, and the part that is left of the attribute's name without them.
const PREFIXES: [&str; 4] = ["attributes.", "attribute.", "attribute_", "attribute:"];
/// Beginning of a name that is the attribute's own.
const WHOLE: &str = "item_attribute";

/// Name of the attribute that a column holds; `None` for another column.
pub fn name(column: &str) -> Option<String> {
    let column = column.trim();
    let lower = column.to_lowercase();
    if lower.starts_with(WHOLE) {
        return Some(column.to_owned());
    }
    let prefix = PREFIXES.iter().find(|prefix| lower.starts_with(**prefix))?;
    column.get(prefix.len()..).filter(|rest| !rest.is_empty()).map(str::to_owned)
}

/// Places and names of the attributes among the columns that have no other meaning.
pub fn columns(header: &[String], taken: impl Fn(usize) -> bool) -> Vec<(usize, String)> {
    let named = header.iter().enumerate().filter(|(place, _)| !taken(*place));
    named.filter_map(|(place, column)| Some((place, name(column)?))).collect()
}

/// Adds attributes, blank ones left out, to an item of which nothing else may be known. An item that has nothing but
/// attributes is titled by its id, so that it can be shown.
pub fn add<'a>(
    item: Option<NewItem>,
    id: ExternalId,
    values: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Option<NewItem>, String> {
    let attributes: BTreeMap<String, String> = values
        .map(|(name, value)| (name.to_owned(), tidy(value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if attributes.is_empty() {
        return Ok(item);
    }
    let mut item = item.unwrap_or_else(|| NewItem { title: Some(id.to_string()), ..NewItem::new(id) });
    item.attributes = Some(attributes);
    item.validate().map_err(|error| error.to_string())?;
    Ok(Some(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_told_from_other_columns() {
        for (column, expected) in [
            ("item_attribute_1", Some("item_attribute_1")),
            ("attributes.brand", Some("brand")),
            ("Attribute_Colour", Some("Colour")),
            ("attribute_", None),
            ("title", None),
            ("attribution", None),
        ] {
            assert_eq!(name(column).as_deref(), expected, "{column}");
        }
    }

    #[test]
    fn an_item_of_attributes_alone_is_titled_by_its_id() {
        let values = [("item_attribute_1", " red "), ("item_attribute_2", "")];
        let item = add(None, ExternalId::Integer(7), values.into_iter()).unwrap().unwrap();
        assert_eq!(item.title.as_deref(), Some("7"));
        assert_eq!(
            item.attributes.unwrap().into_iter().collect::<Vec<_>>(),
            [("item_attribute_1".into(), "red".into())]
        );
        assert_eq!(add(None, ExternalId::Integer(7), std::iter::empty()), Ok(None));
    }
}
