//! The words of a message: a title of one line and a body of one sentence.

use super::Trigger;
use crate::base::ItemId;
use crate::catalogue::Catalogue;

/// Longest title and body, in characters; longer names are cut at a word.
const MAX_TITLE_CHARS: usize = 80;
const MAX_BODY_CHARS: usize = 200;

/// What a person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// One line, at most 80 characters.
    pub title: String,
    /// One sentence, at most 200 characters.
    pub body: String,
}

/// Words for a list of items, best first; an empty list says that there is nothing yet.
pub fn compose(trigger: Trigger, items: &[ItemId], catalogue: &Catalogue) -> Content {
    let name =
        |item: ItemId| catalogue.get(item).map(|item| item.name()).unwrap_or_else(|| "an item".to_owned());
    let title = match (trigger, items.is_empty()) {
        (_, true) => "Welcome".to_owned(),
        (Trigger::Login, _) => "Picked for you".to_owned(),
        (Trigger::View(seed), _) => format!("More like {}", name(seed)),
        (Trigger::Cart(seed), _) => format!("Goes with {}", name(seed)),
        (Trigger::Retrain, _) => "New picks for you".to_owned(),
    };
    let body = match items {
        [] => "There is nothing to recommend yet: the catalogue is empty.".to_owned(),
        [only] => name(*only),
        [first, rest @ ..] => format!("{} and {} more", name(*first), rest.len()),
    };
    Content { title: shorten(&title, MAX_TITLE_CHARS), body: shorten(&body, MAX_BODY_CHARS) }
}

/// At most `max` characters, cut after a whole word where there is one.
fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let cut: String = text.chars().take(max.saturating_sub(1)).collect();
    let whole = cut.rsplit_once(' ').map_or(cut.as_str(), |(before, _)| before);
    format!("{}…", whole.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_at_a_word() {
        assert_eq!(shorten("white hanging heart", 12), "white…");
        assert_eq!(shorten("short", 12), "short");
        assert_eq!(shorten("abcdefghijklmnop", 5), "abcd…");
        assert!(shorten(&"ü ".repeat(100), 80).chars().count() <= 80);
    }

    #[test]
    fn an_empty_shop_is_said_in_words() {
        let content = compose(Trigger::Login, &[], &Catalogue::default());
        assert!(content.body.contains("empty"));
    }
}
