//! Products as WooCommerce exports and imports them. Variations are left out: their product stands for them. The first category
//! is the item's, the others become tags; of several images the first counts.

use super::translated::{Translated, Translation, known};
use crate::mapping::Field;

/// Columns that such a file has.
pub const COLUMNS: [&str; 4] = ["ID", "Type", "Name", "Categories"];
/// Attributes that are looked for, `Attribute 1 name` and so on.
const ATTRIBUTES: usize = 16;

/// Rows of one line, whose fields `get` gives by column.
pub fn translate<'a>(get: impl Fn(&str) -> &'a str) -> Result<Translation, String> {
    if get("Type").split(',').any(|word| word.trim() == "variation") {
        return Ok(Translation::Unused("variation".to_owned()));
    }
    if known(get("Published")).is_some_and(|published| published != "1") {
        return Ok(Translation::Unused("unpublished product".to_owned()));
    }
    let mut row = Translated::default();
    row.set(Field::ItemId, known(get("ID")).or(known(get("SKU"))).unwrap_or_default());
    row.set(Field::Title, get("Name"));
    let mut categories = get("Categories").split(',').map(str::trim).filter(|path| !path.is_empty());
    row.set(Field::Category, categories.next().unwrap_or_default());
    let others = categories.filter_map(|path| path.rsplit('>').next());
    let tags = get("Tags").split(',').chain(others).map(str::trim).filter(|tag| !tag.is_empty());
    row.set(Field::Tags, tags.collect::<Vec<_>>().join("|"));
    row.set(Field::Price, known(get("Sale price")).or(known(get("Regular price"))).unwrap_or_default());
    row.set(Field::Stock, stock(get("Stock"), get("In stock?")));
    row.set(Field::Url, get("External URL"));
    row.set(Field::ImageUrl, get("Images").split(',').next().unwrap_or_default());
    row.attribute("sku", Some(get("SKU")));
    for place in 1..=ATTRIBUTES {
        let name = get(&format!("Attribute {place} name"));
        if let Some(name) = known(name) {
            row.attribute(name, Some(get(&format!("Attribute {place} value(s)"))));
        }
    }
    Ok(Translation::Rows(vec![row]))
}

/// A count where one is kept; else none, if there is none.
fn stock<'a>(count: &'a str, in_stock: &str) -> &'a str {
    match (known(count), in_stock.trim()) {
        (Some(count), _) => count,
        (None, "0") => "0",
        (None, _) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_categories_and_two_images_are_told_apart() {
        let fields = [
            ("ID", "44"),
            ("Type", "simple"),
            ("Name", "Hoodie"),
            ("Categories", "Clothing > Tshirts, Clothing > Hoodies"),
            ("Tags", "warm"),
            ("Images", "https://shop.example/a.png, https://shop.example/b.png"),
            ("Regular price", "45"),
            ("Sale price", "42"),
            ("In stock?", "0"),
            ("Attribute 1 name", "Colour"),
            ("Attribute 1 value(s)", "Blue, Green"),
        ];
        let get =
            |name: &str| fields.iter().find(|(column, _)| *column == name).map_or("", |(_, text)| *text);
        let Ok(Translation::Rows(rows)) = translate(get) else { panic!() };
        let field = |field: Field| rows[0].fields.get(&field).map(String::as_str);
        assert_eq!(field(Field::Category), Some("Clothing > Tshirts"));
        assert_eq!(field(Field::Tags), Some("warm|Hoodies"));
        assert_eq!(field(Field::ImageUrl), Some("https://shop.example/a.png"));
        assert_eq!((field(Field::Price), field(Field::Stock)), (Some("42"), Some("0")));
        assert_eq!(rows[0].attributes["Colour"], "Blue, Green");
        let variation = |name: &str| if name == "Type" { "variation" } else { "1" };
        assert_eq!(translate(variation), Ok(Translation::Unused("variation".into())));
    }
}
