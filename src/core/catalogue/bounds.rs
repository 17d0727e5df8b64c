//! Bounds of an item's fields.

use serde::Deserialize;
use serde_json::Value;

use crate::base::FieldError;

/// Longest title, url and image url, in bytes.
const MAX_TEXT_BYTES: usize = 2_048;
/// Most tags and most levels of the category path.
const MAX_LIST: usize = 32;
/// Most attributes.
pub(super) const MAX_ATTRIBUTES: usize = 64;
/// Longest tag, category level, attribute name or value, in bytes.
pub(super) const MAX_WORD_BYTES: usize = 256;

/// Refusal of an embedding of another length than those that are there.
pub fn other_length(own: usize, known: usize) -> FieldError {
    let message = format!(
        "has {own} numbers, those of the catalogue have {known}; to change the model erase them first: DELETE /v1/embeddings"
    );
    FieldError::new("bad_item", "embedding", message)
}

/// Refusal of an item with more in it than any item has; it is not read.
pub fn too_complex_item() -> FieldError {
    let message = format!(
        "an item has at most {MAX_ATTRIBUTES} attributes, {MAX_LIST} tags and levels, an embedding of 1,024 numbers, and words in 40 languages"
    );
    FieldError::new("too_complex", "item", message)
}

/// Checks a title.
pub(super) fn check_text(field: &'static str, text: Option<&str>) -> Result<(), FieldError> {
    match text {
        Some(text) if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) => {
            let message = format!("at most {MAX_TEXT_BYTES} bytes, no control characters");
            Err(FieldError::new("bad_item", field, message))
        }
        _ => Ok(()),
    }
}

/// Checks an address of a page or a picture.
pub(super) fn check_link(field: &'static str, url: Option<&str>) -> Result<(), FieldError> {
    check_text(field, url)?;
    // Anything else (javascript:, data:) would run or hide things in a page that shows the item.
    let is_safe = |url: &str| {
        url.starts_with("https://")
            || url.starts_with("http://")
            || (url.starts_with('/') && !url.starts_with("//"))
    };
    match url {
        Some(url) if !is_safe(url) => {
            Err(FieldError::new("bad_item", field, "must start with https://, http:// or /"))
        }
        _ => Ok(()),
    }
}

/// Checks tags, or the levels of a category path.
pub(super) fn check_words(field: &'static str, words: Option<&[String]>) -> Result<(), FieldError> {
    let fail = |message: String| Err(FieldError::new("bad_item", field, message));
    match words {
        Some(words) if words.len() > MAX_LIST => {
            fail(format!("at most {MAX_LIST} entries, has {}", words.len()))
        }
        Some(words) if words.iter().any(|word| !word_is_valid(word)) => {
            fail(format!("entries have 1…{MAX_WORD_BYTES} bytes, no control characters"))
        }
        _ => Ok(()),
    }
}

/// Returns whether a text may be a tag, a level of a category path, or a name or value of an attribute.
pub(super) fn word_is_valid(word: &str) -> bool {
    !word.is_empty() && word.len() <= MAX_WORD_BYTES && !word.chars().any(char::is_control)
}

/// A category path: `["A", "B"]`, `"A/B"` and `"A > B"`.
pub(super) fn path_of(value: Value) -> Result<Vec<String>, serde_json::Error> {
    category_path(value).map(Option::unwrap_or_default)
}

/// Levels of a category path: `"A/B"` and `"A > B"`.
pub fn category_levels(text: &str) -> Vec<String> {
    let levels = text.split(['/', '>']).map(|level| level.trim().to_owned());
    levels.filter(|level| !level.is_empty()).collect()
}

/// Accepts `["A", "B"]`, `"A/B"` and `"A > B"`.
pub(crate) fn category_path<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a category is a path such as \"A > B\" or an array of texts")]
    enum Path {
        List(Vec<String>),
        Text(String),
    }
    Ok(Option::<Path>::deserialize(deserializer)?.map(|path| match path {
        Path::List(list) => list,
        Path::Text(text) => category_levels(&text),
    }))
}
