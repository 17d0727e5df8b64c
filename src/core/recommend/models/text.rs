//! Words of an item, as 32-bit hashes with weights: what content similarity compares. Hashing (Weinberger et al.
//! 2009) needs no vocabulary, so an item added after training may bring words nobody has seen.

use crate::catalogue::Item;

/// A word: the upper half of its 64-bit FNV-1a. Of 100,000 different words about one pair collides.
pub type Term = u32;

/// Weight of a word, by the field it stands in.
const TITLE: f32 = 1.0;
const CATEGORY: f32 = 0.7;
const TAG: f32 = 0.7;
const ATTRIBUTE: f32 = 0.5;

/// Words that say nothing about a product.
const STOP_WORDS: [&str; 14] =
    ["a", "an", "and", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with", "your"];
/// Longest title read, in words.
const MAX_WORDS: usize = 64;
/// Widths of the cells of a number.
const WIDTHS: [f64; 7] = [0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0];

/// The terms of an item, sorted by term, with their summed weights > 0. Empty for an item without any text.
pub fn terms(item: &Item) -> Vec<(Term, f32)> {
    let mut terms = Vec::new();
    for word in item.title.iter().flat_map(|title| words(title)) {
        terms.push((hash("", &word), TITLE));
    }
    for level in &item.category {
        // The level as a whole, and its words: "Dive watches" is near "Watches" and near a title with "watch".
        terms.push((hash("category ", &level.to_lowercase()), CATEGORY));
        terms.extend(words(level).into_iter().map(|word| (hash("", &word), CATEGORY / 2.0)));
    }
    for tag in &item.tags {
        terms.push((hash("tag ", &tag.to_lowercase()), TAG));
        terms.extend(words(tag).into_iter().map(|word| (hash("", &word), TAG / 2.0)));
    }
    for (name, value) in &item.attributes {
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => terms.extend(cells(name, number)),
            _ => terms.push((hash(name, &value.to_lowercase()), ATTRIBUTE)),
        }
    }
    terms.sort_by_key(|(term, _)| *term);
    terms.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    terms
}

/// A number as the cells it lies in, of several widths and in two grids half a cell apart, and as itself: the nearer two
/// numbers, the more of them they share, and the narrow ones are rare and weigh more. Grauman & Darrell 2005 (pyramid match).
fn cells(name: &str, number: f64) -> Vec<(Term, f32)> {
    let share = ATTRIBUTE / 2.0 / (2 * WIDTHS.len()) as f32;
    let cell = |width: f64, shift: f64| {
        let place = (number / width + shift).floor();
        (hash(name, &format!("{width} {shift} {place}")), share)
    };
    let mut terms = vec![(hash(name, &number.to_string()), ATTRIBUTE / 2.0)];
    terms.extend(WIDTHS.iter().flat_map(|width| [cell(*width, 0.0), cell(*width, 0.5)]));
    terms
}

/// Lower-case words without stop words and plural endings. A hyphenated word gives itself joined and its longer
/// parts: "T-LIGHT" is "tlight" and "light".
pub fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut words = Vec::new();
    for piece in lower.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '\'')).take(MAX_WORDS) {
        let joined: String = piece.chars().filter(|c| c.is_alphanumeric()).collect();
        if joined.is_empty() || STOP_WORDS.contains(&joined.as_str()) {
            continue;
        }
        if piece.contains('-') {
            let parts = piece.split('-').filter(|part| part.chars().count() >= 3);
            words.extend(parts.filter(|part| *part != joined).map(singular));
        }
        words.push(singular(&joined));
    }
    words
}

/// "holders" → "holder", "boxes" → "boxe" ("box" stays apart; a real stemmer would need a language).
fn singular(word: &str) -> String {
    let long = word.chars().count() > 3;
    match word.strip_suffix('s') {
        Some(stem) if long && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

fn hash(field: &str, word: &str) -> Term {
    let bytes = field.bytes().chain(std::iter::once(0)).chain(word.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_singular_and_hyphens_give_whole_and_parts() {
        assert_eq!(
            words("WHITE HANGING HEART T-LIGHT HOLDERS"),
            ["white", "hanging", "heart", "light", "tlight", "holder"]
        );
        assert_eq!(words("The Glass & the bus"), ["glass", "bus"]);
        assert_eq!(words("children's -- "), ["children"]);
        assert_eq!(words(""), Vec::<String>::new());
    }
}
