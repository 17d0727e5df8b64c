//! Products as WooCommerce exports and imports them. Variations are left out: their product stands for them. The first category
//! is the item's, the others become tags; of several images the first counts. A comma within a name stands behind a backslash.

use jiff::tz::TimeZone;
use tidings_core::base::Timestamp;

use super::translated::{Translated, Translation, known};
use crate::dates::DateForm;
use crate::lists::{parts, unescaped};
use crate::mapping::Field;

/// Columns that such a file has.
pub const COLUMNS: [&str; 4] = ["ID", "Type", "Name", "Categories"];
/// Attributes that are looked for, `Attribute 1 name` and so on.
const ATTRIBUTES: usize = 16;

/// Rows of one line, whose fields `get` gives by column. A sale price counts if its dates include `now`; they are of the zone `local`.
pub fn translate<'a>(
    get: impl Fn(&str) -> &'a str,
    now: Timestamp,
    local: &TimeZone,
) -> Result<Translation, String> {
    if get("Type").split(',').any(|word| word.trim() == "variation") {
        return Ok(Translation::Unused("variation".to_owned()));
    }
    if known(get("Published")).is_some_and(|published| published != "1") {
        return Ok(Translation::Unused("unpublished product".to_owned()));
    }
    let mut row = Translated::default();
    row.set(Field::ItemId, known(get("ID")).or(known(get("SKU"))).unwrap_or_default());
    row.set(Field::Title, get("Name"));
    let mut categories = names(get("Categories")).into_iter();
    row.set(Field::Category, categories.next().unwrap_or_default());
    let others = categories.filter_map(|path| path.rsplit('>').next().map(|name| name.trim().to_owned()));
    let tags: Vec<String> =
        names(get("Tags")).into_iter().chain(others).filter(|tag| !tag.is_empty()).collect();
    row.set(Field::Tags, tags.join("|"));
    let sale = match is_on_sale(&get, now, local)? {
        true => known(get("Sale price")),
        false => None,
    };
    row.set(Field::Price, sale.or(known(get("Regular price"))).unwrap_or_default());
    row.set(Field::Stock, stock(get("Stock"), get("In stock?")));
    row.set(Field::Url, get("External URL"));
    row.set(Field::ImageUrl, get("Images").split(',').next().unwrap_or_default());
    row.attribute("sku", Some(get("SKU")));
    for place in 1..=ATTRIBUTES {
        let name = get(&format!("Attribute {place} name"));
        if let Some(name) = known(name) {
            row.attribute(name, Some(&unescaped(get(&format!("Attribute {place} value(s)")))));
        }
    }
    Ok(Translation::Rows(vec![row]))
}

/// Names of a cell, apart by commas; what would separate them elsewhere stands behind a backslash.
fn names(cell: &str) -> Vec<String> {
    let names = parts(cell, |c| c == ',').into_iter().map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.replace('|', "\\|").replace(';', "\\;")).collect()
}

/// Returns whether `now` is within the dates of the sale; the day of the end belongs to it. Without dates it always is.
fn is_on_sale<'a>(get: &impl Fn(&str) -> &'a str, now: Timestamp, local: &TimeZone) -> Result<bool, String> {
    let date = |column: &str| {
        let Some(text) = known(get(column)) else { return Ok(None) };
        let moment = DateForm::Evident.read(text, local);
        let moment = moment.ok_or_else(|| format!("{column} is no date such as 2026-01-31: {text:?}"))?;
        let is_day = !text.contains(':');
        Ok::<_, String>(Some((moment, is_day)))
    };
    let has_begun = date("Date sale price starts")?.is_none_or(|(start, _)| start <= now);
    let is_over = date("Date sale price ends")?
        .is_some_and(|(end, is_day)| if is_day { end.plus_days(1.0) <= now } else { end < now });
    Ok(has_begun && !is_over)
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
    use crate::record::{Entry, RecordOptions, RecordReader};
    use tidings_core::catalogue::NewItem;

    /// 2027-01-15 08:00
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn item(fields: &[(&str, &'static str)]) -> Result<NewItem, String> {
        let fixed = [("ID", "44"), ("Type", "simple"), ("Name", "Tea")];
        let get = |name: &str| {
            fields.iter().chain(&fixed).find(|(column, _)| *column == name).map_or("", |(_, text)| *text)
        };
        let Translation::Rows(rows) = translate(get, NOW, &TimeZone::UTC)? else { panic!() };
        let mut records = RecordReader::new(RecordOptions::default());
        match rows[0].entries(&mut records)?.remove(0) {
            Entry::Item(item) => Ok(item),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_comma_behind_a_backslash_is_part_of_a_name() {
        let tea = item(&[
            ("Categories", "Food\\, Beverages > Tea, Gifts"),
            ("Tags", "fresh\\, green, new|old"),
            ("Attribute 1 name", "Leaf"),
            ("Attribute 1 value(s)", "Whole\\, rolled"),
        ])
        .unwrap();
        assert_eq!(tea.category.unwrap(), ["Food, Beverages", "Tea"]);
        assert_eq!(tea.tags.unwrap(), ["fresh, green", "new|old", "Gifts"]);
        assert_eq!(tea.attributes.unwrap()["Leaf"], "Whole, rolled");
    }

    #[test]
    fn a_sale_price_counts_within_its_dates() {
        for (starts, ends, price) in [
            ("", "", 42.0),
            ("2027-01-01", "2027-01-15", 42.0),
            ("2027-01-15 07:59:59", "2027-01-15 08:00:00", 42.0),
            ("2027-01-16", "", 45.0),
            ("", "2027-01-14", 45.0),
            ("2027-01-01 00:00:00", "2027-01-15 07:59:59", 45.0),
        ] {
            let dates = [("Date sale price starts", starts), ("Date sale price ends", ends)];
            let prices = [("Regular price", "45"), ("Sale price", "42")];
            let tea = item(&[dates, prices].concat()).unwrap();
            assert_eq!(tea.price, Some(price), "{starts} to {ends}");
        }
        let error = item(&[("Date sale price ends", "soon")]).unwrap_err();
        assert!(error.contains("Date sale price ends") && error.contains("soon"), "{error}");
    }

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
        let Ok(Translation::Rows(rows)) = translate(get, NOW, &TimeZone::UTC) else { panic!() };
        let field = |field: Field| rows[0].fields.get(&field).map(String::as_str);
        assert_eq!(field(Field::Category), Some("Clothing > Tshirts"));
        assert_eq!(field(Field::Tags), Some("warm|Hoodies"));
        assert_eq!(field(Field::ImageUrl), Some("https://shop.example/a.png"));
        assert_eq!((field(Field::Price), field(Field::Stock)), (Some("42"), Some("0")));
        assert_eq!(rows[0].attributes["Colour"], "Blue, Green");
        let variation = |name: &str| if name == "Type" { "variation" } else { "1" };
        assert_eq!(translate(variation, NOW, &TimeZone::UTC), Ok(Translation::Unused("variation".into())));
    }
}
