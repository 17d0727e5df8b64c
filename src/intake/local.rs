//! Words and prices of items for other languages and currencies that stand in columns of their own: `title_de`, `url_pt-BR`,
//! `price_chf`; behind a colon or a dot any language (`title:id`) and any code (`price:XTS`).

use tidings_core::catalogue::{NewItem, Translation};

use super::currencies;
use super::fields::tidy;
use super::forms::Forms;
use super::lists::{categories, first_address};
use super::mapping::Field;

/// Languages that a name may end in behind `_`: ISO 639-1 without those that end other names too (`category_id`, `title_no`, `url_my`).
const LANGUAGES: &str = "aa ab ae af ak am an ar av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en \
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia ie ig ii ik io it iu ja jv ka kg ki kj kk kl \
    km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt na nb nd ne ng nl nn nr nv ny oc oj om os pa \
    pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug \
    uk ur uz ve vi vo wa wo xh yi yo za zh zu";
/// Meaning of such a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalColumn {
    /// Words of an item, of this field in this language.
    Words(Field, String),
    /// Its price in this currency.
    Price(String),
}

impl LocalColumn {
    /// Meaning of a column by its name; `None` for another column.
    pub fn of(column: &str) -> Option<Self> {
        let column = column.trim();
        let fields = [Field::Title, Field::Category, Field::ImageUrl, Field::Url, Field::Price];
        let begins = |field: Field| {
            let name = field.name();
            let begin = column.get(..name.len())?;
            begin.eq_ignore_ascii_case(name).then(|| (field, column.get(name.len()..).unwrap_or_default()))
        };
        let (field, rest) = fields.into_iter().find_map(begins)?;
        let (separator, place) = rest.split_at_checked(1)?;
        let is_explicit = matches!(separator, ":" | ".");
        if !is_explicit && separator != "_" {
            return None;
        }
        match field {
            Field::Price => {
                let code = place.to_ascii_uppercase();
                let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
                (is_code && (is_explicit || currencies::is_in_use(&code))).then_some(Self::Price(code))
            }
            _ => language(place, is_explicit).map(|tag| Self::Words(field, tag)),
        }
    }

    /// The field of the wire that it goes to.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Words(..) => "translations",
            Self::Price(_) => "prices",
        }
    }
}

fn knows(list: &str, code: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == code)
}

/// A language, perhaps with a script or region: `de`, `de_AT`, `zh-Hant-TW`.
fn language(place: &str, is_explicit: bool) -> Option<String> {
    let tag = place.replace('_', "-");
    let mut parts = tag.split('-');
    let own = parts.next()?.to_ascii_lowercase();
    let is_known = knows(LANGUAGES, &own);
    let is_own = (2..=8).contains(&own.len()) && own.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_part = |part: &str| {
        let is_text = part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_text && if is_explicit { (1..=8).contains(&part.len()) } else { matches!(part.len(), 2 | 4) }
    };
    let rest: Vec<&str> = parts.collect();
    let fits = is_own && (is_explicit || is_known) && rest.iter().all(|part| is_part(part));
    fits.then(|| std::iter::once(own.as_str()).chain(rest).collect::<Vec<_>>().join("-"))
}

/// Places and meanings of such columns among those that have no other meaning.
pub fn columns(header: &[String], taken: impl Fn(usize) -> bool) -> Vec<(usize, LocalColumn)> {
    let named = header.iter().enumerate().filter(|(place, _)| !taken(*place));
    named.filter_map(|(place, column)| Some((place, LocalColumn::of(column)?))).collect()
}

/// Adds the words and prices of a row, blank ones left out, to an item of which nothing else may be known. A price has the form of the
/// column `price`, or can mean one number only.
pub fn add<'a>(
    mut item: NewItem,
    forms: &Forms,
    values: impl Iterator<Item = (&'a LocalColumn, &'a str)>,
) -> Result<NewItem, String> {
    for (column, text) in values {
        let Some(text) = forms.said(text) else { continue };
        match column {
            LocalColumn::Price(code) => {
                let price = forms.number(text, Field::Price);
                let wrong = || format!("price_{} is not a number: {text:?}", code.to_ascii_lowercase());
                item.prices.get_or_insert_default().insert(code.clone(), price.ok_or_else(wrong)?);
            }
            LocalColumn::Words(field, tag) => {
                let words = item.translations.get_or_insert_default().entry(tag.clone()).or_default();
                say(words, *field, text);
            }
        }
    }
    item.validate().map_err(|error| error.to_string())?;
    Ok(item)
}

fn say(words: &mut Translation, field: Field, text: &str) {
    match field {
        Field::Title => words.title = Some(tidy(text)),
        Field::Category => words.category = categories(text).into_iter().next(),
        Field::Url => words.url = Some(text.to_owned()),
        _ => words.image_url = Some(first_address(text).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::base::ExternalId;

    use super::*;
    use crate::forms::StatedForms;

    #[test]
    fn languages_and_currencies_are_told_from_other_endings() {
        let words = |field, tag: &str| Some(LocalColumn::Words(field, tag.to_owned()));
        let price = |code: &str| Some(LocalColumn::Price(code.to_owned()));
        for (column, expected) in [
            ("title_de", words(Field::Title, "de")),
            ("Title_pt_BR", words(Field::Title, "pt-BR")),
            ("category_zh-Hant-TW", words(Field::Category, "zh-Hant-TW")),
            ("image_url.fr", words(Field::ImageUrl, "fr")),
            ("url:id", words(Field::Url, "id")),
            ("price_chf", price("CHF")),
            ("price:XTS", price("XTS")),
            ("category_id", None),
            ("title_length", None),
            ("url_key", None),
            ("price_old", None),
            ("price_xts", None),
            ("price", None),
            ("titlede", None),
            ("title_", None),
            ("title:", None),
            ("titel_de", None),
        ] {
            assert_eq!(LocalColumn::of(column), expected, "{column}");
        }
    }

    #[test]
    fn words_and_prices_of_a_row_are_those_of_its_item() {
        let header = ["item_id", "title_de", "category_de", "price_chf", "price_usd", "title_fr"];
        let columns = columns(&header.map(str::to_owned), |place| place == 0);
        let row = ["7", " Roter  Becher", "Küche > Becher", "11,50", "1.011,50", "null"];
        let values = || columns.iter().map(|(place, column)| (column, row[*place]));
        let forms = Forms::stated(&StatedForms {
            decimal: Some(crate::DecimalMark::Comma),
            ..StatedForms::default()
        });
        let item = add(NewItem::new(ExternalId::Integer(7)), &forms, values()).unwrap();
        let german = Translation {
            title: Some("Roter Becher".into()),
            category: Some(vec!["Küche".into(), "Becher".into()]),
            ..Translation::default()
        };
        assert_eq!(item.translations, Some([("de".to_owned(), german)].into()));
        assert_eq!(item.prices, Some([("CHF".to_owned(), 11.5), ("USD".to_owned(), 1_011.5)].into()));
        let price = LocalColumn::Price("CHF".into());
        let wrong = add(NewItem::new(ExternalId::Integer(7)), &forms, [(&price, "dear")].into_iter());
        assert!(wrong.unwrap_err().contains("price_chf"));
    }
}
