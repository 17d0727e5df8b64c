//! Words and prices of an item for other languages and currencies than its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bounds::{category_path, check_link, check_text, check_words};
use crate::base::FieldError;

/// Most languages, and most currencies, beside the own ones.
const MAX_LOCAL: usize = 40;
/// Longest language tag, bytes; RFC 5646 §4.4.1.
const MAX_TAG_BYTES: usize = 35;

/// Words of an item in another language; what is absent is as in the item's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = ItemTranslation))]
pub struct Translation {
    /// Human title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Names of the category path, general to special. A string is split at `/` and `>`.
    #[serde(default, deserialize_with = "category_path", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = serde_json::Value, required = false))]
    pub category: Option<Vec<String>>,
    /// Product page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
}

/// By BCP 47 tag.
pub type Translations = BTreeMap<String, Translation>;
/// Major units by ISO 4217 code.
pub type LocalPrices = BTreeMap<String, f64>;

/// Words and prices of an item beside its own language and currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Local {
    /// Words by language.
    pub translations: Translations,
    /// Prices by currency.
    pub prices: LocalPrices,
}

impl Local {
    /// `None` where both are empty.
    pub fn of(translations: Translations, prices: LocalPrices) -> Option<Box<Self>> {
        let is_none = translations.is_empty() && prices.is_empty();
        (!is_none).then(|| Box::new(Self { translations, prices }))
    }
}

/// Checks the words by language of an item that the shop sends.
pub(super) fn check_translations(translations: &Translations) -> Result<(), FieldError> {
    let fail = |message: String| Err(FieldError::new("bad_item", "translations", message));
    if translations.len() > MAX_LOCAL {
        return fail(format!("at most {MAX_LOCAL} languages, has {}", translations.len()));
    }
    for (tag, words) in translations {
        let mut parts = tag.split('-');
        let is_language = parts.next().is_some_and(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic())
        });
        let is_part =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_language || !parts.all(is_part) || tag.len() > MAX_TAG_BYTES {
            return fail(format!("\"{tag}\" is no BCP 47 tag such as de or de-AT"));
        }
        let named = |error: FieldError| {
            let message = format!("{tag}.{}: {}", error.field, error.message);
            FieldError::new("bad_item", "translations", message)
        };
        check_text("title", words.title.as_deref()).map_err(named)?;
        check_link("url", words.url.as_deref()).map_err(named)?;
        check_link("image_url", words.image_url.as_deref()).map_err(named)?;
        check_words("category", words.category.as_deref()).map_err(named)?;
    }
    Ok(())
}

/// Checks the prices by currency of an item that the shop sends.
pub(super) fn check_prices(prices: &LocalPrices) -> Result<(), FieldError> {
    let fail = |message: String| Err(FieldError::new("bad_item", "prices", message));
    if prices.len() > MAX_LOCAL {
        return fail(format!("at most {MAX_LOCAL} currencies, has {}", prices.len()));
    }
    for (currency, price) in prices {
        if !(currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase())) {
            return fail(format!("\"{currency}\" is no ISO 4217 code such as EUR"));
        }
        if !(price.is_finite() && (0.0..=1e9).contains(price)) {
            return fail(format!("{currency}: must be between 0 and 1e9, is {price}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_names_its_language_or_currency() {
        let translations = |json: &str| check_translations(&serde_json::from_str(json).unwrap());
        for (json, says) in [
            (r#"{"german!": {"title": "x"}}"#, "german!"),
            (r#"{"de": {"url": "javascript:x"}}"#, "de.url: must start"),
            (r#"{"de": {"title": "a\u0000"}}"#, "de.title"),
            (r#"{"de-AT": {"category": [""]}}"#, "de-AT.category"),
        ] {
            let error = translations(json).unwrap_err();
            assert_eq!(error.field, "translations");
            assert!(error.message.contains(says), "{error}");
        }
        assert_eq!(translations(r#"{"de": {"title": "x", "category": "A > B"}, "zh-Hant-TW": {}}"#), Ok(()));
        let many: Translations = (0..41).map(|n| (format!("de-{n:02}"), Translation::default())).collect();
        assert!(check_translations(&many).unwrap_err().message.contains("at most 40"));
        assert!(serde_json::from_str::<Translation>(r#"{"titel": "x"}"#).is_err());
        let prices = |json: &str| check_prices(&serde_json::from_str(json).unwrap());
        assert!(prices(r#"{"eur": 1}"#).unwrap_err().message.contains("eur"));
        assert!(prices(r#"{"EUR": -1}"#).unwrap_err().message.contains("EUR: must be"));
        assert_eq!(prices(r#"{"EUR": 0, "CHF": 12.5}"#), Ok(()));
    }
}
